"""Closed-loop load: users that each send again some time after their answer."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent

from workers.contract.schedule import ClosedArrivals
from workers.contract.spec import share
from workers.engine.arrival import NS, Arrival
from workers.engine.book import Ledger
from workers.engine.until import Until

if TYPE_CHECKING:
    from workers.engine.gear import Gear

LOOK_S = 0.1
"""A user held back by the ceiling, or not yet begun, looks this often whether the load is over."""
DONE_LOOK_S = 0.02


class Loop:
    """A `Source` in which users draw their shard's next index; the intended time is that of sending.

    `stride`: indices that one draw takes, the turns of a session. `send` returns when all of them are over.
    """

    def __init__(
        self,
        arrivals: ClosedArrivals,
        *,
        gear: "Gear",
        book: Ledger,
        send: Callable[[Arrival], None],
        goes_on: Callable[[int], bool],
        until: Until,
        stride: int = 1,
    ) -> None:
        self._until = until
        self._end_ns = round(arrivals.duration_s * NS)
        self._think_ns = round(arrivals.think_s * NS)
        self._arrivals = arrivals
        self._crowd = gear.crowd
        self._book = book
        self._send = send
        self._task = gear.task
        self._next = gear.task.shard * stride
        self._step = gear.task.of * stride
        self._goes_on = goes_on
        self._ceiling = gear.ceiling
        self._working = self._sending = 0
        gear.crowd.employ(self)

    def run(self, *, from_ns: int) -> None:
        """Start the users from `from_ns` of the phase on; returns when the last had its last answer.

        Users that think when a successor takes theirs over are not waited for: they begin nothing more.
        """
        shard, of = self._task.shard, self._task.of
        for number in range(share(self._arrivals.users, shard, of)):
            whole = number * of + shard
            if not self._wait_until(max(begin_ns(self._arrivals, user=whole), from_ns)):
                break
            self._working += 1
            self._crowd.add()
        while self._working and (self._sending or not self._is_yielded()):
            gevent.sleep(DONE_LOOK_S)

    def work(self) -> None:
        """One user's life: send, think, again, until the duration is over."""
        try:
            while True:
                at_ns = self._book.clock.now_ns()
                index = self._next
                if at_ns >= min(self._end_ns, self._until.at_ns) or not self._goes_on(index):
                    return
                now_ns = time.monotonic_ns()
                if not self._ceiling.admits(now_ns):
                    gevent.sleep(min(self._ceiling.wait_ns(now_ns) / NS, LOOK_S))
                    continue
                self._next += self._step
                arrival = Arrival(index, at_ns, now_ns, now_ns)
                self._book.handed(arrival, following=self._next)
                self._sending += 1
                try:
                    self._send(arrival)
                finally:
                    self._sending -= 1
                if self._book.clock.now_ns() + self._think_ns >= self._end_ns:
                    return  # nothing would be sent after the pause
                gevent.sleep(self._think_ns / NS)
        finally:
            self._working -= 1

    def _wait_until(self, at_ns: int) -> bool:
        """Wait for a moment of the phase; False where the load was over before it."""
        while (left_ns := self._book.clock.monotonic_ns(at_ns) - time.monotonic_ns()) > 0:
            if not self._goes_on(self._next) or at_ns >= self._end_ns or self._is_yielded():
                return False
            gevent.sleep(min(left_ns / NS, LOOK_S))
        return True

    def _is_yielded(self) -> bool:
        return self._until.is_set and self._book.clock.now_ns() >= self._until.at_ns


def begin_ns(arrivals: ClosedArrivals, *, user: int) -> int:
    """When user `user` (from 0, of all shards' users) begins: their number grows evenly over the ramp."""
    return round(arrivals.ramp_s * NS * user / arrivals.users)
