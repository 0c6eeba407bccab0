"""Between the dispatcher and its users: idle ones are woken last in first out, the rest wait in line.

The pool grows ahead of need up to its cap; beyond it arrivals stand in line, at most the target's timeout.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent
from gevent import get_hub, getcurrent
from gevent.event import Event

from workers.engine.arrival import Arrival
from workers.engine.book import Ledger
from workers.engine.breath import breathe

if TYPE_CHECKING:
    from workers.engine.users import Crowd

SPARE_USERS = 32
"""Idle users kept ready: a burst of arrivals finds them parked."""
GROW_AT_ONCE = 16
"""Users started before others may run: about 2 ms of work."""


class Pool:
    """A `Source` of open-loop arrivals. `send` sends one and returns when it is over.

    `stood_ns`: for how long the loop has stood still altogether, up to a moment.
    """

    __slots__ = (
        "_book",
        "_cap",
        "_crowd",
        "_full_ns",
        "_grow",
        "_hub",
        "_idle",
        "_line",
        "_of",
        "_send",
        "_stood_ns",
        "_timeout_ns",
    )

    def __init__(
        self,
        *,
        crowd: "Crowd",
        book: Ledger,
        send: Callable[[Arrival], None],
        cap: int,
        timeout_s: float,
        of: int,
        stood_ns: Callable[[int], int],
    ) -> None:
        self._crowd = crowd
        self._book = book
        self._send = send
        self._cap = cap
        self._of = of
        self._full_ns: int | None = None
        self._timeout_ns = round(timeout_s * 1e9)
        self._idle: list[gevent.Greenlet] = []
        self._line: deque[tuple[Arrival, int]] = deque()
        self._stood_ns = stood_ns
        self._grow = Event()
        self._hub = get_hub()
        crowd.employ(self)

    def start(self) -> gevent.Greenlet:
        """Start the first users, and the greenlet that adds more when they become few."""
        for _ in range(min(self._cap, SPARE_USERS)):
            self._crowd.add()
        if self._crowd.size >= self._cap:
            self._full_ns = time.monotonic_ns()
        return gevent.spawn(self._run)

    def offer(self, arrival: Arrival) -> None:
        """Give an arrival to the user that rested last, else let it stand in line."""
        if self._idle:
            user = self._idle.pop()
            self._book.handed(arrival, following=arrival.index + self._of)
            if getcurrent() is self._hub:
                user.switch(arrival)  # comes back as soon as the user has to wait
            else:
                self._hub.loop.run_callback(user.switch, arrival)
        else:
            self.expire()
            self._line.append((arrival, self._stood_ns(arrival.queued_ns)))
        if len(self._idle) < SPARE_USERS and self._crowd.size < self._cap:
            self._grow.set()

    def expire(self) -> None:
        """Give up arrivals that stood in line for as long as the target may take to answer."""
        now_ns = time.monotonic_ns()
        while self._line and self._waited_ns(*self._line[0], now_ns) > self._timeout_ns:
            arrival, _ = self._line.popleft()
            self._book.unsent_target(arrival, following=arrival.index + self._of)

    def is_empty(self) -> bool:
        """Whether nothing is in line."""
        return not self._line

    def work(self) -> None:
        """Send arrivals, one after the other; parks between them. Runs in a user's greenlet."""
        while True:
            self._send(self._next())

    def _next(self) -> Arrival:
        if self._line:
            self.expire()
        if self._line:
            arrival, stood_ns = self._line.popleft()
            arrival.wait_ns = self._waited_ns(arrival, stood_ns, time.monotonic_ns())
            self._book.handed(arrival, following=arrival.index + self._of)
            return arrival
        self._idle.append(getcurrent())
        arrival = self._hub.switch()
        assert isinstance(arrival, Arrival)  # noqa: S101  # only `offer` wakes a parked user
        return arrival

    def _waited_ns(self, arrival: Arrival, stood_ns: int, now_ns: int) -> int:
        """How long it stood in line for the target's sake; before the pool was full it is this side's lag.

        So it is while the loop stood still; `stood_ns`: for how long it had when the arrival came.
        """
        if self._full_ns is None:
            return 0
        still_ns = self._stood_ns(now_ns) - stood_ns
        return max(now_ns - max(arrival.queued_ns, self._full_ns) - still_ns, 0)

    def _run(self) -> None:
        while True:
            self._grow.wait()
            self._grow.clear()
            for _ in range(min(GROW_AT_ONCE, self._cap - self._crowd.size)):
                self._crowd.add()
            if self._full_ns is None and self._crowd.size >= self._cap:
                self._full_ns = time.monotonic_ns()
            breathe()
