"""The one greenlet that owns the schedule: wakes at each intended time and gives the arrival away.

It never re-anchors: an arrival that it was late for keeps its intended time, and the delay shows as lag.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice

import gevent

from workers.contract.schedule import Block, OpenArrivals, shard_blocks
from workers.engine.alarm import Alarm
from workers.engine.arrival import Arrival
from workers.engine.book import Clock
from workers.engine.clockmap import monotonic_ns
from workers.engine.until import Until

CHUNK = 2048
"""Arrivals turned from numpy into Python at once: 0.1 ms, so that it costs no lag."""
AT_ONCE = 16
"""Overdue arrivals given away before sockets are looked at again: about half a millisecond of sending."""
TOGETHER = 3
"""Arrivals given away at once where they come faster than HOLD_NS: waking up costs more than sending."""
HOLD_NS = 400_000
"""The longest that one of them waits for the others; it shows as lag."""
LOOK_NS = 100_000_000
"""Where the next arrival is far away, it is looked so often whether it is still to be offered."""


def arrivals_of(arrivals: OpenArrivals, *, shard: int, of: int, from_ns: int) -> Iterator[tuple[int, int]]:
    """(index, intended ns of the phase) of a shard, in order; the next block is drawn in a thread beside."""
    blocks = shard_blocks(arrivals, shard=shard, of=of, from_ns=from_ns)
    threads = gevent.get_hub().threadpool
    coming = threads.spawn(next, blocks, None)
    while True:
        block: Block | None = coming.get()
        if block is None:
            return
        coming = threads.spawn(next, blocks, None)
        for first in range(0, len(block.indices), CHUNK):
            indices = block.indices[first : first + CHUNK].tolist()
            times = block.times_ns[first : first + CHUNK].tolist()
            yield from zip(indices, times, strict=True)


def dispatch(
    schedule: Iterator[tuple[int, int]],
    *,
    clock: Clock,
    offer: Callable[[Arrival], None],
    goes_on: Callable[[int], bool],
    until: Until | None = None,
) -> None:
    """Offer every arrival at its time, until the schedule or `until` ends or `goes_on(index)` says no.

    `offer` and `goes_on` are called in the event loop and may not block. What they raise is raised here.
    """
    pump = _Pump(clock, offer, goes_on, until or Until())
    try:
        while not pump.stopped and (batch := list(islice(schedule, CHUNK))):
            pump.give_away(batch)
    finally:
        pump.close()


class _Pump:
    """Gives arrivals away from within the event loop, so that none costs a switch to the dispatcher."""

    __slots__ = (
        "_alarm",
        "_at",
        "_batch",
        "_clock",
        "_error",
        "_goes_on",
        "_hub",
        "_offer",
        "_owner",
        "_until",
        "stopped",
    )

    def __init__(
        self, clock: Clock, offer: Callable[[Arrival], None], goes_on: Callable[[int], bool], until: Until
    ) -> None:
        self._until = until
        self._clock = clock
        self._offer = offer
        self._goes_on = goes_on
        self._hub = gevent.get_hub()
        self._alarm = Alarm(self._ring)
        self._batch: list[tuple[int, int]] = []
        self._at = 0
        self._owner: gevent.Greenlet | None = None
        self._error: BaseException | None = None
        self.stopped = False

    def give_away(self, batch: list[tuple[int, int]]) -> None:
        """Let others run until the last of these has been given away, or no more are wanted."""
        self._batch, self._at = batch, 0
        self._owner = gevent.getcurrent()
        self._alarm.set(time.monotonic_ns())
        try:
            self._hub.switch()
        finally:
            self._owner = None
            self._alarm.silence()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Give the alarm back."""
        self._alarm.close()

    def _ring(self) -> None:
        try:
            next_ns = self._give_due()
        except BaseException as error:  # noqa: BLE001  # raised again in the dispatcher's own greenlet
            self._error = error
            next_ns = None
        if next_ns is not None:
            self._alarm.set(next_ns)
            return
        self._alarm.silence()
        if self._owner is not None:
            self._hub.loop.run_callback(self._owner.switch)
            self._owner = None

    def _give_due(self) -> int | None:
        """Give away what is due, a few at a time; when to come again, None where the batch is over."""
        batch, steer, until_ns = self._batch, self._clock.steer, self._until.at_ns
        shift_ns = steer.goal_ns if steer.start_ns == steer.goal_ns else None
        now_ns = time.monotonic_ns()
        for _ in range(AT_ONCE):
            if self._at == len(batch):
                return None
            index, at_ns = batch[self._at]
            if at_ns >= until_ns:
                self.stopped = True
                return None
            intended_ns = at_ns + shift_ns if shift_ns is not None else monotonic_ns(steer, at_ns)
            if intended_ns > now_ns:
                return min(self._last_together(intended_ns), now_ns + LOOK_NS)
            self._at += 1
            if not self._goes_on(index):
                self.stopped = True
                return None
            self._offer(Arrival(index, at_ns, intended_ns, now_ns))
            now_ns = time.monotonic_ns()
        return now_ns

    def _last_together(self, next_ns: int) -> int:
        """When to wake up for the next arrival, intended at `next_ns`, and those close behind it."""
        first, until_ns = self._at, self._batch[self._at][1] + HOLD_NS
        last_ns = batch_ns = self._batch[first][1]
        for _, at_ns in self._batch[first + 1 : first + TOGETHER]:
            if at_ns > until_ns:
                break
            last_ns = at_ns
        return next_ns + last_ns - batch_ns
