"""Why a demo target cannot start or go on."""

from workers.contract.errors import ShakeoutWorkerError


class DemoTargetError(ShakeoutWorkerError):
    """It cannot listen, or cannot keep its log; says what, where and what to do."""
