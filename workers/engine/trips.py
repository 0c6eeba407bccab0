"""What the requests of one client share while they are under way: deadlines, and who is to be woken.

All have the same time, so the first to begin is the first whose time is up: one timer serves them all.
Answers are stamped as they come in and read afterwards: greenlets run only once the loop has emptied the
sockets that had something. After a stop of this process or host its timers come before its sockets: so a
deadline that is heard late is asked again, once what had come by then is read.
"""

import time
from collections import deque
from typing import Any, Final, Protocol

from gevent import Greenlet, get_hub, getcurrent

from workers.engine.heads import Heads

HELD_BYTES: Final = 1024 * 1024 * 1024
"""Of all answers under way together: ten of the longest that are read."""
WAKE_FOR_NS: Final = 1_000_000
"""Answers are read for this long before sockets are looked at again: what comes meanwhile is stamped late."""
STALL_NS: Final = 50_000_000
"""A timer that comes so late: the loop stood still, and did not see what came meanwhile."""
LOOKS_AGAIN_AFTER_NS: Final = 20_000_000


class Trip(Protocol):
    """A request under way: what is done with one here. `waiter`: the greenlet that waits for its end."""

    waiter: Greenlet | None

    def too_late(self, now_ns: int) -> None:
        """Its time is up."""


class Trips:
    """Requests under way. `timeout_s`: first byte written to last byte read; `answer_bytes`: of an answer.

    `held_bytes`: of all answers together that have begun and not ended.
    """

    __slots__ = (
        "_due", "_go_on", "_held", "_hub", "_last_due_ns", "_most_held", "_over", "_ringing", "_rings_ns",
        "_timeout_ns", "_timer", "_waking", "answer_bytes", "heads", "timeout_s",
    )  # fmt: skip

    def __init__(self, timeout_s: float, *, answer_bytes: int, held_bytes: int = HELD_BYTES) -> None:
        self.timeout_s = timeout_s
        self.answer_bytes = answer_bytes
        self.heads = Heads()
        self._timeout_ns = round(timeout_s * 1e9)
        self._due: dict[Trip, int] = {}
        self._held = 0
        self._most_held = held_bytes
        self._over: deque[Trip] = deque()
        self._waking = self._ringing = False
        self._hub = get_hub()
        self._last_due_ns = self._rings_ns = 0
        self._timer = self._hub.loop.timer(0.0)
        self._go_on = self._hub.loop.timer(0.0)

    def wait(self, trip: Trip, *, since_ns: int) -> None:
        """Let others run until the trip is over; its time runs from `since_ns`."""
        due_ns = since_ns + self._timeout_ns
        alone = None
        if due_ns >= self._last_due_ns:
            self._last_due_ns = self._due[trip] = due_ns
            if not self._ringing:
                self._ring_at(due_ns)
        else:  # it took long to be written: its time is up before that of others who wait already
            alone = self._timer_at(due_ns)
            alone.start(lambda: trip.too_late(time.monotonic_ns()), update=True)
        trip.waiter = getcurrent()
        try:
            self._hub.switch()
        finally:
            trip.waiter = None
            self._due.pop(trip, None)
            if alone is not None:
                alone.stop()
                alone.close()

    def hold(self, size: int, *, of: int) -> str:
        """Count `size` bytes more of an answer that has `of` by now; why that is too many, else nothing.

        Where all together are too many, it is those that have more than their share of the bound.
        """
        self._held += size
        if self._held > self._most_held and of * max(len(self._due), 1) > self._most_held:
            return (
                f"too long beside others: all answers under way hold over {self._most_held} bytes here; "
                "lower max_in_flight, or use more workers"
            )
        return ""

    def let_go(self, size: int) -> None:
        """So many bytes are held no more."""
        self._held -= size

    def over(self, trip: Trip) -> None:
        """Wake whoever waits for it, once the sockets that are ready have been read."""
        self._due.pop(trip, None)
        self._over.append(trip)
        if not self._waking:
            self._waking = True
            self._hub.loop.run_callback(self._wake)

    def close(self) -> None:
        """Give the timer back; requests under way have no deadline any more."""
        self._timer.stop()
        self._timer.close()
        self._ringing = True

    def _wake(self) -> None:
        over = self._over
        until_ns = time.monotonic_ns() + WAKE_FOR_NS
        try:
            while over:
                waiter = over.popleft().waiter
                if waiter is not None:  # else it was killed meanwhile
                    waiter.switch()
                    if time.monotonic_ns() > until_ns:
                        break
        finally:
            self._waking = bool(over)
            if over:  # by a timer: gevent makes fifty callbacks one after the other and reads no socket
                self._go_on.start(self._wake)

    def _ring_at(self, at_ns: int) -> None:
        self._ringing, self._rings_ns = True, at_ns
        self._timer.close()
        self._timer = self._timer_at(at_ns)
        self._timer.start(self._ring, update=True)

    def _timer_at(self, at_ns: int) -> Any:
        return self._hub.loop.timer(max(at_ns - time.monotonic_ns(), 0) / 1e9)

    def _ring(self) -> None:
        self._ringing = False
        now_ns = time.monotonic_ns()
        if now_ns - self._rings_ns > STALL_NS:
            self._ring_at(now_ns + LOOKS_AGAIN_AFTER_NS)
            return
        late = []
        for trip, due_ns in self._due.items():
            if due_ns > now_ns:
                self._ring_at(due_ns)
                break
            late.append(trip)
        for trip in late:
            trip.too_late(now_ns)
