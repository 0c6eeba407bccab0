"""A deadline of one greenlet, which blames nobody for time in which this process stood still.

After a stop of this process or host its timers come before its sockets: so a deadline that is heard late is
asked again, once what had come by then is read.
"""

import time
from types import TracebackType

from gevent import get_hub, getcurrent

from workers.engine.trips import LOOKS_AGAIN_AFTER_NS, STALL_NS

LEAST_S = LOOKS_AGAIN_AFTER_NS / 1e9
"""What is left, where more steps are to be made and a stop has used up their time."""


class Deadline:
    """`with Deadline(limit_s, error)`: `error` is raised where the block takes longer than that."""

    __slots__ = ("_due_ns", "_error", "_limit_s", "_timer")

    def __init__(self, limit_s: float, error: BaseException) -> None:
        self._limit_s, self._error = limit_s, error
        self._timer = get_hub().loop.timer(limit_s)
        self._due_ns = 0

    def __enter__(self) -> None:
        self._due_ns = time.monotonic_ns() + round(self._limit_s * 1e9)
        self._timer.start(self._ring, getcurrent(), update=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.stop()
        self._timer.close()

    def _ring(self, waiter: object) -> None:
        now_ns = time.monotonic_ns()
        self._timer.stop()
        self._timer.close()
        if now_ns - self._due_ns > STALL_NS:
            self._due_ns = now_ns + LOOKS_AGAIN_AFTER_NS
            self._timer = get_hub().loop.timer(LEAST_S)
            self._timer.start(self._ring, waiter, update=True)
            return
        waiter.throw(self._error)  # type: ignore[attr-defined]  # a greenlet; gevent has no types
