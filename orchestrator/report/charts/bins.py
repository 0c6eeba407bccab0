"""An activity's seconds merged to as many bins as a picture has room for; exact, since sketches add up."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil

from orchestrator.aggregate.evidence import Measured
from orchestrator.aggregate.totals import COARSE_S, Totals
from orchestrator.report.charts.picture import Point
from workers.contract.sketch import EMPTY, Sketch, merge_all
from workers.contract.snapshot import JUDGED, WARMUP

MOST_BINS = 600
"""More points than these no screen shows side by side."""


@dataclass(frozen=True, slots=True)
class Bin:
    """What was counted in [from_s, until_s) of intended time, warm-up included.

    `merged`: there were good answers, but their sketches stand in an earlier second.
    """

    from_s: int
    until_s: int
    outcomes: Counter[str] = field(default_factory=Counter)
    sketches: Mapping[str, Sketch] = field(default_factory=dict)
    merged: bool = False

    @property
    def middle_s(self) -> float:
        """Where it stands on a time axis."""
        return (self.from_s + self.until_s) / 2

    @property
    def length_s(self) -> int:
        """Its seconds."""
        return self.until_s - self.from_s


def bins_of(measured: Measured, series: tuple[str, ...], *, span_s: tuple[float, float]) -> list[Bin]:
    """Bins of whole seconds over a span of the phase's clock; empty seconds are bins, too."""
    first, last = int(span_s[0]), ceil(span_s[1])
    step = bin_length_s(last - first)
    rows: dict[int, list[Totals]] = {}
    for (group, second), row in measured.totals.seconds.items():
        if group in (JUDGED, WARMUP) and first <= second < last:
            rows.setdefault((second - first) // step, []).append(row)
    return [
        _bin(rows.get(place, []), series, from_s=start, until_s=min(start + step, last))
        for place, start in enumerate(range(first, last, step))
    ]


def bin_length_s(length_s: float) -> int:
    """Seconds of one bin; whole blocks of merged sketches where it cannot be one second."""
    step = ceil(length_s / MOST_BINS)
    return step if step <= 2 else ceil(step / COARSE_S) * COARSE_S if step > COARSE_S // 2 else step


def quantile_points(bins: list[Bin], series: str, q: float) -> tuple[Point, ...]:
    """A quantile by time; a bin whose sketches were merged into an earlier one breaks no line."""
    return tuple(_points(bins, series, q))


def per_second(counts: Mapping[int, int], bins: list[Bin]) -> tuple[Point, ...]:
    """Counts by second as a rate over each bin."""
    return tuple(
        (one.middle_s, sum(counts.get(at, 0) for at in range(one.from_s, one.until_s)) / one.length_s)
        for one in bins
    )


def _points(bins: list[Bin], series: str, q: float) -> Iterator[Point]:
    for one in bins:
        sketch = one.sketches.get(series, EMPTY)
        if sketch.count:
            yield one.middle_s, sketch.quantile(q)
        elif not one.merged:
            yield one.middle_s, None


def _bin(rows: list[Totals], series: tuple[str, ...], *, from_s: int, until_s: int) -> Bin:
    outcomes: Counter[str] = Counter()
    for row in rows:
        outcomes.update(row.outcomes)
    sketches = {name: merge_all(row.sketches.get(name, EMPTY) for row in rows) for name in series}
    merged = bool(outcomes["ok"]) and not any(row.sketches for row in rows)
    return Bin(from_s, until_s, outcomes, sketches, merged)
