"""May this engine still send? Asked right before the first byte of every request.

Past its authorisation an engine is silent whatever its worker does: its successor counts on it.
"""

import time
from dataclasses import dataclass


def allows(*, until_ns: int, now_ns: int) -> bool:
    """Whether a byte may leave at `now_ns`, being authorised until `until_ns` (both CLOCK_BOOTTIME)."""
    return now_ns < until_ns


@dataclass(slots=True)
class Fence:
    """The authorisation at hand: none until the first `extend`, none ever again after `close`."""

    until_ns: int = 0
    closed: bool = False

    def extend(self, until_ns: int) -> None:
        """Take an authorisation; one that ends earlier than the last is an old message, without effect."""
        self.until_ns = max(self.until_ns, until_ns)

    def close(self) -> None:
        """Allow nothing more."""
        self.closed = True

    def allows_now(self) -> bool:
        """Whether a byte may leave now; the boot clock goes on while the machine sleeps."""
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return not self.closed and allows(until_ns=self.until_ns, now_ns=now_ns)
