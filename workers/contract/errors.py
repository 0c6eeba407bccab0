"""Every error that the worker side raises on purpose, in one tree.

Each message says what, where and what to do. A target's failure is data, never one of these.
"""


class ShakeoutWorkerError(Exception):
    """Root of the tree: a message for a person, no traceback needed."""


class ContractError(ShakeoutWorkerError):
    """Something said between coordinator and worker could not be read."""


class AttemptError(ShakeoutWorkerError):
    """An attempt ended badly, or was refused; its task is shown as failed, with these words alone."""

    def __repr__(self) -> str:
        return str(self)


class RepeatError(ShakeoutWorkerError):
    """A task came again while its attempt runs: nothing is to be done, and nothing shown."""


class DataError(ShakeoutWorkerError):
    """A data file is missing, broken or lacks a field; names file and line."""


class EngineError(ShakeoutWorkerError):
    """An engine could not be started, readied or spoken to."""


class HostError(ShakeoutWorkerError):
    """This host cannot do it, though another may: no room on its disk, no engine that starts."""


class DrainingError(ShakeoutWorkerError):
    """The worker was told to leave before the attempt had begun anything."""

    def __init__(self) -> None:
        super().__init__("the worker is draining")


class TargetRefusedError(ShakeoutWorkerError):
    """The target's address is not on this worker's allow-list."""


class FaultError(ShakeoutWorkerError):
    """A fault cannot be done, verified or reverted on this host."""


class ProtocolError(ShakeoutWorkerError):
    """A row or an option does not fit the target's protocol."""
