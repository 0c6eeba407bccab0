"""Arrivals of many shards found in one pass over their schedule. Pure.

A night's schedule takes seconds to draw. Where a hundred shards were lost at once, to draw it again for each
would take longer than the campaign's end may.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from workers.contract.schedule import Block, OpenArrivals, blocks

ALL = 2**62


@dataclass(frozen=True, slots=True)
class Ask:
    """Arrivals of one shard with `from_index` ≤ index < `below_index` and `from_ns` ≤ time < `until_ns`."""

    shard: int
    from_index: int = 0
    below_index: int = ALL
    from_ns: int = 0
    until_ns: int = ALL


Asking = Generator[Ask, Block, None]
"""What wants arrivals, one ask after another, and is sent each answer."""


def answer_all(arrivals: OpenArrivals, *, of: int, askings: Iterable[Asking]) -> None:
    """Run all of these to their ends; the schedule is drawn once for first asks, once for second ones."""
    waiting = [(asking, ask) for asking in askings if (ask := _first(asking)) is not None]
    while waiting:
        found = _answers(arrivals, of, [ask for _, ask in waiting])
        waiting = [
            (asking, ask)
            for (asking, _), block in zip(waiting, found, strict=True)
            if (ask := _next(asking, block)) is not None
        ]


def _first(asking: Asking) -> Ask | None:
    return next(asking, None)


def _next(asking: Asking, block: Block) -> Ask | None:
    try:
        return asking.send(block)
    except StopIteration:
        return None


def _answers(arrivals: OpenArrivals, of: int, asks: list[Ask]) -> Iterator[Block]:
    """The answer to each ask, in their order."""
    indices = [[np.empty(0, np.int64)] for _ in asks]
    times = [[np.empty(0, np.int64)] for _ in asks]
    last_ns = max(ask.until_ns for ask in asks)
    last = max(ask.below_index for ask in asks)
    for block in blocks(arrivals):
        first, begins_ns, ends_ns = int(block.indices[0]), int(block.times_ns[0]), int(block.times_ns[-1])
        if begins_ns >= last_ns or first >= last:
            break
        for place, ask in enumerate(asks):
            if begins_ns >= ask.until_ns or ends_ns < ask.from_ns or first >= ask.below_index:
                continue
            if first + len(block.indices) <= ask.from_index:
                continue
            part = _part(block, ask, of)
            indices[place].append(part.indices)
            times[place].append(part.times_ns)
    for own_indices, own_times in zip(indices, times, strict=True):
        yield Block(np.concatenate(own_indices), np.concatenate(own_times))


def _part(block: Block, ask: Ask, of: int) -> Block:
    """What one block has for an ask; both its indices and its times ascend."""
    offset = (ask.shard - int(block.indices[0])) % of
    indices, times = block.indices[offset::of], block.times_ns[offset::of]
    low = max(np.searchsorted(times, ask.from_ns), np.searchsorted(indices, ask.from_index))
    high = min(np.searchsorted(times, ask.until_ns), np.searchsorted(indices, ask.below_index))
    return Block(indices[low:high].copy(), times[low:high].copy())
