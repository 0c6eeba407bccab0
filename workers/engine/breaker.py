"""A circuit breaker: a client that stops asking a target which fails, and after a while lets one try decide.

Each engine has its own, as each client of a fleet would. Pure: times come in.
"""

from workers.contract.behaviour import Breaker
from workers.engine.trailing import Trailing

NS = 1_000_000_000
LEAST_TRIES = 10
"""Fewer tries in the window prove nothing: one failure of one would open it."""


class Circuit:
    """Closed, open, or half open (one try is under way that decides). Times in ns of any steady clock."""

    __slots__ = ("_breaker", "_ended", "_open_until_ns", "_trying")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._ended = Trailing(round(breaker.window_s * NS))
        self._open_until_ns = 0
        self._trying = False

    def admits(self, now_ns: int) -> bool:
        """Whether a try may be sent now; what is admitted after an open time is the try that decides."""
        if not self._open_until_ns:
            return True
        if now_ns < self._open_until_ns or self._trying:
            return False
        self._trying = True
        return True

    def ended(self, now_ns: int, *, began_ns: int, failed: bool) -> bool:
        """A try that was admitted is over; True where the circuit opens because of it."""
        if self._open_until_ns:
            return self._decide(now_ns, began_ns=began_ns, failed=failed)
        self._ended.add(now_ns, marked=int(failed))
        tries = self._ended.total
        if tries < LEAST_TRIES or self._ended.marked < self._breaker.failures * tries:
            return False
        self._open(now_ns)
        return True

    def dropped(self) -> None:
        """The try that was admitted was not made: the next one decides in its stead."""
        self._trying = False

    def _decide(self, now_ns: int, *, began_ns: int, failed: bool) -> bool:
        """The outcome of the one try; others that end meanwhile were begun before and tell nothing new."""
        if not self._trying or began_ns < self._open_until_ns:
            return False
        self._trying = False
        if failed:
            self._open(now_ns)
            return True
        self._open_until_ns = 0
        return False

    def _open(self, now_ns: int) -> None:
        self._open_until_ns = now_ns + round(self._breaker.open_for_s * NS)
        self._ended.clear()
