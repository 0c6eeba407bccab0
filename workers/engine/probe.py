"""How late this engine's event loop runs: a greenlet wants to wake every 10 ms, noting how late it does."""

import time

import gevent

from workers.engine.alarm import Alarm
from workers.engine.trips import STALL_NS

EVERY_NS = 10_000_000


class Probe:
    """Lateness of the loop, seconds; `drain` for the snapshot, `late_ns` for the sample at hand."""

    __slots__ = ("_due_ns", "_last_late_ns", "_lates", "_stood_ns")

    def __init__(self) -> None:
        self._lates: list[float] = []
        self._last_late_ns = 0
        self._stood_ns = 0
        self._due_ns = 0

    def start(self) -> gevent.Greenlet:
        """Probe until killed."""
        return gevent.spawn(self._run)

    def late_ns(self, now_ns: int) -> int:
        """Lateness of the last probe, or of the one that is overdue at `now_ns` if that is more."""
        overdue_ns = now_ns - self._due_ns if self._due_ns else 0
        return max(self._last_late_ns, overdue_ns, 0)

    def stood_ns(self, now_ns: int) -> int:
        """For how long, up to `now_ns`, the loop has stood still altogether."""
        overdue_ns = now_ns - self._due_ns if self._due_ns else 0
        return self._stood_ns + (overdue_ns if overdue_ns > STALL_NS else 0)

    def drain(self) -> list[float]:
        """Latenesses in seconds since the last call."""
        lates, self._lates = self._lates, []
        return lates

    def _run(self) -> None:
        alarm = Alarm()
        self._due_ns = time.monotonic_ns() + EVERY_NS
        while True:
            alarm.sleep_until(self._due_ns)
            now_ns = time.monotonic_ns()
            self._last_late_ns = now_ns - self._due_ns
            self._lates.append(self._last_late_ns / 1e9)
            self._stood_ns = self.stood_ns(now_ns)
            self._due_ns = max(self._due_ns, now_ns - EVERY_NS) + EVERY_NS
