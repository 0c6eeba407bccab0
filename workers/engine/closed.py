"""Closed-loop load: users that each send again some time after their answer."""

import time
from collections.abc import Callable

import gevent

from workers.contract.schedule import ClosedArrivals
from workers.engine.arrival import NS, Arrival
from workers.engine.book import Book
from workers.engine.ceiling import Ceiling
from workers.engine.users import Crowd

LOOK_S = 0.1
"""A user held back by the ceiling looks this often whether the load is over."""


class Loop:
    """A `Source` in which users draw their shard's next index; the intended time is that of sending."""

    def __init__(
        self,
        arrivals: ClosedArrivals,
        *,
        crowd: Crowd,
        book: Book,
        send: Callable[[Arrival], None],
        shard: int,
        of: int,
        goes_on: Callable[[int], bool],
        ceiling: Ceiling,
    ) -> None:
        self._end_ns = round(arrivals.duration_s * NS)
        self._think_s = arrivals.think_s
        self._crowd = crowd
        self._book = book
        self._send = send
        self._next = shard
        self._of = of
        self._goes_on = goes_on
        self._ceiling = ceiling
        self._working = 0
        crowd.employ(self)

    def run(self, *, users: int, from_ns: int) -> None:
        """Start the users at `from_ns` of the phase; returns when the last one has had its last answer."""
        starts_ns = self._book.clock.monotonic_ns(max(from_ns, 0))
        gevent.sleep(max(starts_ns - time.monotonic_ns(), 0) / NS)
        self._working = users
        for _ in range(users):
            self._crowd.add()
        while self._working:
            gevent.sleep(0.02)

    def work(self) -> None:
        """One user's life: send, think, again, until the duration is over."""
        try:
            while True:
                at_ns = self._book.clock.now_ns()
                index = self._next
                if at_ns >= self._end_ns or not self._goes_on(index):
                    return
                now_ns = time.monotonic_ns()
                if not self._ceiling.admits(now_ns):
                    gevent.sleep(min(self._ceiling.wait_ns(now_ns) / NS, LOOK_S))
                    continue
                self._next += self._of
                arrival = Arrival(index, at_ns, now_ns, now_ns)
                self._book.handed(arrival, following=self._next)
                self._send(arrival)
                gevent.sleep(self._think_s)
        finally:
            self._working -= 1
