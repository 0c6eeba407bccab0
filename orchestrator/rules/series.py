"""What a run recorded, as series that Prometheus's rules can be asked about.

| series | labels | what |
|---|---|---|
| `shakeout_requests_total` | phase, activity, outcome, code | requests by how they ended; a counter |
| `shakeout_request_duration_seconds_bucket` `_count` `_sum` | phase, activity, le | latency of ok requests |
| `shakeout_in_flight` | phase, activity | requests under way; a gauge |
| `shakeout_completions_total` | phase, activity | answers by the second in which they came; a counter |
| a gauge's own name | its labels, target | gauges that the campaign read from its targets |

Counters count from the run's first second. Requests belong to the second of their intended time. Buckets are
made of each second's quantiles (p50, p90, p99, max) and straight lines between them, so exact there alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from math import floor, inf
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.errors import ShakeoutError
from workers.contract.facts import Gauged, decode_fact

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, inf)
"""The buckets that Prometheus's client libraries have by default."""
GROUPS: Final = frozenset({"judged", "warmup"})
COLUMNS: Final = (
    "phase", "activity", "group", "outcomes", "second", "start_s", "ok", "completions", "in_flight",
    "latency_p50_s", "latency_p90_s", "latency_p99_s", "latency_max_s", "latency_mean_s",
)  # fmt: skip
Labels = tuple[tuple[str, str], ...]


class RecordedError(ShakeoutError):
    """What a run recorded cannot be read; says what and where."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its value by second since the run's first; `counter`: it keeps its value in between."""

    name: str
    labels: Labels
    by_second: Mapping[int, float]
    counter: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """All series of a run; second 0 is common time `start_s`, the last is `seconds` - 1."""

    start_s: float
    seconds: int
    series: tuple[Series, ...]


def recorded(intervals: bytes, journal: Iterable[bytes]) -> Recorded:
    """What a run's intervals.parquet and the lines of its journal hold. Raises RecordedError."""
    rows = _rows(intervals)
    if not rows:
        raise RecordedError(
            "intervals.parquet has no second of any load: there is nothing to replay rules on"
        )
    start_s = floor(min(row["start_s"] for row in rows))
    gauges = list(_gauges(journal))
    last_s = max([row["start_s"] for row in rows] + [one.start_s + len(one.values) for one in gauges])
    series = (*_of_rows(rows, start_s), *_of_gauges(gauges, start_s))
    return Recorded(float(start_s), floor(last_s) - start_s + 2, tuple(series))


def _rows(intervals: bytes) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(BytesIO(intervals), columns=list(COLUMNS))
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise RecordedError(f"intervals.parquet cannot be read: {error}") from error
    return [row for row in table.to_pylist() if row["group"] in GROUPS]


def _gauges(journal: Iterable[bytes]) -> Iterator[Gauged]:
    for line in journal:
        if b'"gauged"' in line:
            fact = decode_fact(line)
            if isinstance(fact, Gauged) and " " in fact.gauge:  # others tell only whether a monitor answered
                yield fact


def _of_rows(rows: Sequence[Mapping[str, Any]], start_s: int) -> Iterator[Series]:
    """Requests, latencies, in flight: one set for each activity."""
    for phase, activity in dict.fromkeys((row["phase"], row["activity"]) for row in rows):
        mine = [row for row in rows if (row["phase"], row["activity"]) == (phase, activity)]
        labels: Labels = (("phase", phase), ("activity", activity))
        yield from _requests(mine, labels, start_s)
        yield from _latencies(mine, labels, start_s)
        yield _counter("shakeout_completions_total", labels, mine, "completions", start_s)
        flying = {
            _second(row, start_s): float(row["in_flight"]) for row in mine if row["in_flight"] is not None
        }
        yield Series("shakeout_in_flight", labels, flying, counter=False)


def _requests(rows: Sequence[Mapping[str, Any]], labels: Labels, start_s: int) -> Iterator[Series]:
    counts: dict[str, dict[int, float]] = {}
    for row in rows:
        for part in (row["outcomes"] or "").split():
            outcome, _, number = part.partition("=")
            at = counts.setdefault(outcome, {})
            at[_second(row, start_s)] = at.get(_second(row, start_s), 0.0) + float(number)
    for outcome, by_second in counts.items():
        code = (
            "200" if outcome == "ok" else outcome.removeprefix("http_") if outcome.startswith("http_") else ""
        )
        own = (*labels, ("outcome", outcome), *([("code", code)] if code else []))
        yield Series("shakeout_requests_total", own, _added_up(by_second), counter=True)


def _latencies(rows: Sequence[Mapping[str, Any]], labels: Labels, start_s: int) -> Iterator[Series]:
    name = "shakeout_request_duration_seconds"
    known = [row for row in rows if row["latency_max_s"] is not None and row["ok"]]
    counts = {_second(row, start_s): float(row["ok"]) for row in known}
    sums = {_second(row, start_s): float(row["ok"]) * (row["latency_mean_s"] or 0.0) for row in known}
    for bound_s in BUCKETS_S:
        below = {_second(row, start_s): float(row["ok"]) * share_below(row, bound_s) for row in known}
        le = "+Inf" if bound_s == inf else f"{bound_s:g}"
        yield Series(f"{name}_bucket", (*labels, ("le", le)), _added_up(below), counter=True)
    yield Series(f"{name}_count", labels, _added_up(counts), counter=True)
    yield Series(f"{name}_sum", labels, _added_up(sums), counter=True)


def share_below(row: Mapping[str, Any], bound_s: float) -> float:
    """The share of a second's ok requests that took at most `bound_s`, lines between quantiles."""
    known = ((0.5, "latency_p50_s"), (0.9, "latency_p90_s"), (0.99, "latency_p99_s"), (1.0, "latency_max_s"))
    points = [(0.0, 0.0), *((float(row[key]), share) for share, key in known if row[key] is not None)]
    if bound_s >= points[-1][0]:
        return 1.0
    for (left_s, low), (right_s, high) in pairwise(points):
        if left_s <= bound_s < right_s:
            return low + (high - low) * (bound_s - left_s) / (right_s - left_s)
    return 0.0


def _of_gauges(gauges: Sequence[Gauged], start_s: int) -> Iterator[Series]:
    for name in dict.fromkeys(one.gauge for one in gauges):
        target, _, rest = name.partition(" ")
        metric, _, inner = rest.partition("{")
        pairs = (part.partition("=") for part in inner.rstrip("}").split(",") if part)
        labels = (*((key, value.strip('"')) for key, _, value in pairs), ("target", target))
        values = {
            floor(one.start_s) - start_s + place: value
            for one in gauges
            if one.gauge == name
            for place, value in enumerate(one.values)
            if value is not None
        }
        yield Series(metric, labels, values, counter=False)


def _counter(
    name: str, labels: Labels, rows: Sequence[Mapping[str, Any]], column: str, start_s: int
) -> Series:
    by_second = {_second(row, start_s): float(row[column] or 0) for row in rows}
    return Series(name, labels, _added_up(by_second), counter=True)


def _second(row: Mapping[str, Any], start_s: int) -> int:
    """The second at whose end its requests are counted: a scrape before could not have seen them."""
    return floor(float(row["start_s"])) - start_s + 1


def _added_up(by_second: Mapping[int, float]) -> dict[int, float]:
    total, found = 0.0, {0: 0.0}
    for second in sorted(by_second):
        total += by_second[second]
        found[second] = total
    return found
