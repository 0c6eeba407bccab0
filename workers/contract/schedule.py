"""The arrival schedule: one global stream of arrival times, a pure function of (arrival process, seed).

Shard i of n takes the arrivals whose index is i modulo n, so any split offers what one machine would, and any
shard can be recomputed anywhere. Unit-rate arrivals are drawn in blocks and mapped through the inverse of the
cumulated rate; times are rounded to whole nanoseconds since the start of the phase.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from workers.contract.files.traces import Trace, times_of

BLOCK = 65_536
"""Arrivals drawn at once: large enough that numpy's overhead vanishes, small enough to start at once."""

Times = npt.NDArray[np.int64]


class Segment(msgspec.Struct, frozen=True):
    """A span of the schedule in which the rate changes linearly; times in seconds, rates per second."""

    start_s: float
    end_s: float
    from_per_s: float
    to_per_s: float
    stage: str = ""


class OpenArrivals(msgspec.Struct, frozen=True, tag="open"):
    """An open-loop arrival process; `burstiness` is the gamma shape (1 is Poisson).

    Of process trace the arrivals are those of `trace`, whose times this process must hold; its one segment
    spans them at their mean rate.
    """

    process: Literal["constant", "poisson", "gamma", "trace"]
    segments: tuple[Segment, ...]
    seed: int
    stream: str
    burstiness: float = 1.0
    trace: Trace | None = None

    @property
    def duration_s(self) -> float:
        """Length of the whole schedule in seconds."""
        return self.segments[-1].end_s


class ClosedArrivals(msgspec.Struct, frozen=True, tag="closed"):
    """A closed loop: `users` in all, each sending again `think_s` after its answer.

    User u of n begins at u / n of `ramp_s`.
    """

    users: int
    think_s: float
    duration_s: float
    ramp_s: float = 0.0


Arrivals = OpenArrivals | ClosedArrivals


def recorded(trace: Trace, *, stream: str) -> OpenArrivals:
    """The arrivals of a trace: a pure function of its content and its speed."""
    whole = Segment(0.0, trace.duration_s, trace.mean_per_s, trace.mean_per_s)
    return OpenArrivals("trace", (whole,), seed=0, stream=stream, trace=trace)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive arrivals: indices in the global stream and times in ns since the phase's start."""

    indices: Times
    times_ns: Times


def blocks(arrivals: OpenArrivals) -> Iterator[Block]:
    """Yield the global stream in blocks, in order, up to the end of the schedule.

    Raises DataError for a trace whose times are not held here.
    """
    if arrivals.trace is not None:
        yield from _slices(times_of(arrivals.trace))
        return
    draw = _unit_draws(arrivals)
    first = 0
    end_ns = round(arrivals.duration_s * 1e9)
    total = cumulated(arrivals, arrivals.duration_s)
    for units in draw:
        times = _inverse(arrivals, units[units < total])
        times = times[times < end_ns]
        if len(times):
            yield Block(np.arange(first, first + len(times), dtype=np.int64), times)
        if len(times) < len(units):
            return
        first += len(times)


def shard_blocks(arrivals: OpenArrivals, *, shard: int, of: int, from_ns: int = 0) -> Iterator[Block]:
    """Yield the arrivals of shard `shard` of `of` whose time is at or after `from_ns`."""
    for block in blocks(arrivals):
        if block.times_ns[-1] < from_ns:
            continue
        mine = (block.indices % of == shard) & (block.times_ns >= from_ns)
        if mine.any():
            yield Block(block.indices[mine], block.times_ns[mine])


def arrivals_between(arrivals: OpenArrivals, *, shard: int, of: int, from_index: int, until_ns: int) -> Block:
    """All arrivals of a shard with index ≥ `from_index` and time < `until_ns`, in one block."""
    indices: list[Times] = [np.empty(0, np.int64)]
    times: list[Times] = [np.empty(0, np.int64)]
    for block in shard_blocks(arrivals, shard=shard, of=of):
        if block.times_ns[0] >= until_ns:
            break
        keep = (block.indices >= from_index) & (block.times_ns < until_ns)
        indices.append(block.indices[keep])
        times.append(block.times_ns[keep])
    return Block(np.concatenate(indices), np.concatenate(times))


def per_second(arrivals: OpenArrivals) -> npt.NDArray[np.int64]:
    """How many arrivals each second of the schedule has; position = second since the phase's start."""
    counts = np.zeros(int(np.ceil(arrivals.duration_s)) or 1, dtype=np.int64)
    for block in blocks(arrivals):
        counts += np.bincount(block.times_ns // 1_000_000_000, minlength=len(counts))
    return counts


def cumulated(arrivals: OpenArrivals, until_s: float) -> float:
    """Expected number of arrivals in [0, until_s): the integral of the rate; of a trace, their number."""
    if arrivals.trace is not None:
        return float(np.searchsorted(times_of(arrivals.trace), round(until_s * 1e9), side="left"))
    total = 0.0
    for segment in arrivals.segments:
        span = min(until_s, segment.end_s) - segment.start_s
        if span <= 0:
            break
        length = segment.end_s - segment.start_s
        slope = (segment.to_per_s - segment.from_per_s) / length
        total += segment.from_per_s * span + slope * span * span / 2
    return total


def rate_at(arrivals: OpenArrivals, at_s: float) -> float:
    """The intended rate per second at a moment of the schedule; 0 outside it.

    Of a trace: its arrivals in the second of the schedule that holds the moment.
    """
    if arrivals.trace is not None:
        return cumulated(arrivals, at_s // 1 + 1) - cumulated(arrivals, at_s // 1)
    for segment in arrivals.segments:
        if segment.start_s <= at_s < segment.end_s:
            part = (at_s - segment.start_s) / (segment.end_s - segment.start_s)
            return segment.from_per_s + part * (segment.to_per_s - segment.from_per_s)
    return 0.0


def peak_per_s(arrivals: OpenArrivals) -> float:
    """The highest intended rate per second; of a trace, the most arrivals in any span of 1 s."""
    if arrivals.trace is not None:
        return arrivals.trace.peak_per_s
    return max(max(segment.from_per_s, segment.to_per_s) for segment in arrivals.segments)


def fingerprint(arrivals: OpenArrivals) -> str:
    """A hash of the process and of its first block; two machines that differ in it must not share a load."""
    digest = hashlib.sha256(msgspec.json.encode(arrivals))
    block = next(blocks(arrivals), None)
    if block is not None:
        digest.update(block.times_ns.tobytes())
    return digest.hexdigest()[:16]


def _slices(times: Times) -> Iterator[Block]:
    for first in range(0, len(times), BLOCK):
        some = times[first : first + BLOCK]
        yield Block(np.arange(first, first + len(some), dtype=np.int64), some)


def _unit_draws(arrivals: OpenArrivals) -> Iterator[npt.NDArray[np.float64]]:
    """Arrival times at unit rate, block by block, without end."""
    if arrivals.process == "constant":
        first = 0
        while True:
            yield np.arange(first, first + BLOCK, dtype=np.float64)
            first += BLOCK
    name = int.from_bytes(hashlib.sha256(arrivals.stream.encode()).digest()[:8], "big")
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([arrivals.seed, name])))
    shape = 1.0 if arrivals.process == "poisson" else arrivals.burstiness
    carry = 0.0
    while True:
        gaps = (
            generator.standard_exponential(BLOCK)
            if shape == 1.0
            else generator.gamma(shape, 1 / shape, BLOCK)
        )
        units = carry + np.cumsum(gaps)
        carry = float(units[-1])
        yield units


def _inverse(arrivals: OpenArrivals, units: npt.NDArray[np.float64]) -> Times:
    """Map unit-rate times to nanoseconds: the inverse of the piecewise quadratic cumulated rate."""
    starts = np.array([segment.start_s for segment in arrivals.segments])
    lengths = np.array([segment.end_s - segment.start_s for segment in arrivals.segments])
    low = np.array([segment.from_per_s for segment in arrivals.segments])
    high = np.array([segment.to_per_s for segment in arrivals.segments])
    before = np.concatenate([[0.0], np.cumsum((low + high) / 2 * lengths)])
    place = np.clip(np.searchsorted(before, units, side="right") - 1, 0, len(starts) - 1)
    rest = units - before[place]
    slope = (high - low)[place] / lengths[place]
    root = low[place] + np.sqrt(np.maximum(low[place] ** 2 + 2 * slope * rest, 0.0))
    span = np.divide(2 * rest, root, out=np.zeros_like(rest), where=root > 0)
    seconds = starts[place] + np.minimum(span, lengths[place])
    times: Times = np.rint(seconds * 1e9).astype(np.int64)
    return times
