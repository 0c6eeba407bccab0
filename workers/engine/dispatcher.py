"""The one greenlet that owns the schedule: wakes at each intended time and gives the arrival away.

It never re-anchors: an arrival that it was late for keeps its intended time, and the delay shows as lag.
"""

import time
from collections.abc import Callable, Iterator

import gevent

from workers.contract.schedule import Block, OpenArrivals, shard_blocks
from workers.engine.alarm import Alarm
from workers.engine.arrival import Arrival
from workers.engine.book import Clock
from workers.engine.breath import breathe

CHUNK = 2048
"""Arrivals turned from numpy into Python at once: 0.1 ms, so that it costs no lag."""
BREATHE_EVERY = 64
"""Overdue arrivals given away before the users they woke may run."""


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
) -> None:
    """Offer every arrival at its time, until the schedule ends or `goes_on(index)` says no."""
    alarm = Alarm()
    overdue = 0
    try:
        for index, at_ns in schedule:
            intended_ns = clock.monotonic_ns(at_ns)
            if intended_ns > time.monotonic_ns():
                alarm.sleep_until(intended_ns)
                overdue = 0
            elif (overdue := overdue + 1) % BREATHE_EVERY == 0:
                breathe()
            if not goes_on(index):
                return
            offer(Arrival(index, at_ns, intended_ns, time.monotonic_ns()))
    finally:
        alarm.close()
