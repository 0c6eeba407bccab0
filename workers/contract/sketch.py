"""A mergeable sketch of a distribution: quantiles within 0.5% of the true ones, whatever the split.

Source: Masson, Rim & Lee, DDSketch, VLDB 2019. Bucket of x = ceil(log_γ(x)), γ = (1+α)/(1−α), α = 0.005;
exact zeros, count, sum, min and max beside. Merging is addition: associative, commutative, exact.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
import numpy.typing as npt

ALPHA = 0.005
GAMMA = (1 + ALPHA) / (1 - ALPHA)
_LOG_GAMMA = math.log(GAMMA)
RANK_SLACK = 1e-6
"""0.99 * 100 is not 99 in binary: so much of a rank is rounding."""
SMALLEST = 1e-9
"""Values below a nanosecond count as zero: no clock here resolves them."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class SketchWire(msgspec.Struct, frozen=True, array_like=True):
    """A sketch as it travels: non-empty buckets only, `keys` ascending."""

    count: int
    zeros: int
    total: float
    low: float
    high: float
    keys: list[int]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Sketch:
    """Counts of buckets `offset`, `offset + 1`, ...

    With exact count, zeros, total (sum), low (min) and high (max).
    """

    count: int
    zeros: int
    total: float
    low: float
    high: float
    offset: int
    buckets: Counts

    @property
    def mean(self) -> float:
        """Exact mean; NaN where nothing was counted."""
        return self.total / self.count if self.count else math.nan

    def quantile(self, q: float) -> float:
        """The q-quantile (0 ≤ q ≤ 1), within α (relative) of the true one; NaN where nothing was counted.

        The least value that at least a share q does not exceed, as a verdict counts it: where more than
        1 - q are over a bound, the quantile is over it too. Of 30 values p99 is the greatest.
        """
        if not self.count:
            return math.nan
        rank = max(math.ceil(q * self.count - RANK_SLACK) - 1, 0)
        if rank < self.zeros:
            return max(0.0, self.low)
        place = int(np.searchsorted(np.cumsum(self.buckets), rank - self.zeros, side="right"))
        place = min(place, len(self.buckets) - 1)
        value = 2 * GAMMA ** (self.offset + place) / (GAMMA + 1)
        return min(max(value, self.low), self.high)

    def share_above(self, bound: float) -> float:
        """Share of values above `bound`, to within one bucket; for pictures, never for a verdict."""
        if not self.count:
            return math.nan
        if bound < SMALLEST:
            return 1 - self.zeros / self.count
        first = math.ceil(math.log(bound) / _LOG_GAMMA) + 1 - self.offset
        return float(self.buckets[max(first, 0) :].sum()) / self.count


EMPTY = Sketch(0, 0, 0.0, math.inf, -math.inf, 0, np.zeros(0, np.int64))


def sketch_of(values: Sequence[float] | Floats) -> Sketch:
    """Sketch an array of values (seconds or any unit; negative ones count as zero)."""
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return EMPTY
    positive = array[array >= SMALLEST]
    zeros = len(array) - len(positive)
    offset, buckets = 0, np.zeros(0, np.int64)
    if len(positive):
        keys = np.ceil(np.log(positive) / _LOG_GAMMA).astype(np.int64)
        offset = int(keys.min())
        buckets = np.bincount(keys - offset).astype(np.int64)
    total, low, high = float(array.sum()), float(array.min()), float(array.max())
    return Sketch(len(array), zeros, total, low, high, offset, buckets)


def merge(left: Sketch, right: Sketch) -> Sketch:
    """Add two sketches bucket by bucket; order does not matter.

    Quantiles of the result stay within `ALPHA` (relative) of the true ones.
    Source: Masson, Rim & Lee, DDSketch, VLDB 2019, section 2.
    """
    return merge_all((left, right))


def merge_all(sketches: Iterable[Sketch]) -> Sketch:
    """Add any number of sketches in one pass."""
    parts = [sketch for sketch in sketches if sketch.count]
    if not parts:
        return EMPTY
    if len(parts) == 1:
        return parts[0]
    filled = [part for part in parts if len(part.buckets)]
    offset = min((part.offset for part in filled), default=0)
    end = max((part.offset + len(part.buckets) for part in filled), default=0)
    buckets = np.zeros(end - offset, np.int64)
    for part in filled:
        buckets[part.offset - offset : part.offset - offset + len(part.buckets)] += part.buckets
    return Sketch(
        sum(part.count for part in parts),
        sum(part.zeros for part in parts),
        math.fsum(part.total for part in parts),
        min(part.low for part in parts),
        max(part.high for part in parts),
        offset,
        buckets,
    )


def merge_wires(wires: Iterable[SketchWire]) -> Sketch:
    """What `merge_all` makes of them once decoded, without decoding each: with many it is five times as fast.

    Raises ValueError for one whose keys and counts do not pair.
    """
    parts = [wire for wire in wires if wire.count]
    if len(parts) < 2:
        return from_wire(parts[0]) if parts else EMPTY
    if any(len(part.keys) != len(part.counts) for part in parts):
        raise ValueError("a sketch's keys and counts do not pair")
    size = sum(len(part.keys) for part in parts)
    keys = np.fromiter(chain.from_iterable(part.keys for part in parts), np.int64, size)
    counts = np.fromiter(chain.from_iterable(part.counts for part in parts), np.int64, size)
    offset = int(keys.min()) if size else 0
    buckets = np.zeros(int(keys.max()) - offset + 1 if size else 0, np.int64)
    np.add.at(buckets, keys - offset, counts)
    return Sketch(
        sum(part.count for part in parts),
        sum(part.zeros for part in parts),
        math.fsum(part.total for part in parts),
        min(part.low for part in parts),
        max(part.high for part in parts),
        offset,
        buckets,
    )


def to_wire(sketch: Sketch) -> SketchWire:
    """Encode sparsely: empty buckets are left out."""
    filled = np.flatnonzero(sketch.buckets)
    keys = (filled + sketch.offset).tolist()
    counts = sketch.buckets[filled].tolist()
    low, high = (sketch.low, sketch.high) if sketch.count else (0.0, 0.0)
    return SketchWire(sketch.count, sketch.zeros, sketch.total, low, high, keys, counts)


def from_wire(wire: SketchWire) -> Sketch:
    """Decode what `to_wire` encoded."""
    if not wire.count:
        return EMPTY
    offset, buckets = 0, np.zeros(0, np.int64)
    if wire.keys:
        offset = wire.keys[0]
        buckets = np.zeros(wire.keys[-1] - offset + 1, np.int64)
        buckets[np.asarray(wire.keys, np.int64) - offset] = wire.counts
    return Sketch(wire.count, wire.zeros, wire.total, wire.low, wire.high, offset, buckets)
