"""The four signals by which a fault is seen in the traffic, and the band in which each is at home.

METRICS.md section 5, "Band": median ± max(3 × 1.4826 × MAD, floor) of the matched baseline, worse side only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal

from orchestrator.slo.evidence import Evidence, Second
from orchestrator.slo.expressions import Comparison, Expression, Quantile, Scalar
from orchestrator.slo.findings import holds
from orchestrator.stats.differences import band as median_and_spread

Signal = Literal["bad_share", "throughput_per_s", "latency_p99_s", "ttft_p99_s"]

SHARE_FLOOR = 0.01
TIME_FLOOR_SHARE = 0.1
TIME_FLOOR_S = 0.005
COUNT_FLOOR = 3.0
"""In square roots of the expected count: the scatter of counting itself."""

RATE_WINDOW_S = 2
"""The offered rate about a second is that of so many seconds to each side."""

P99 = 0.99
_SERIES = {"latency_p99_s": "latency", "ttft_p99_s": "ttft"}


@dataclass(frozen=True, slots=True)
class Band:
    """Where a signal is at home: up to `median` + `margin`, for throughput down to `median` - `margin`.

    `slos` are the comparisons that stand on it: it is outside only where one of them is broken, too.
    `offered_per_s` is the baseline's scheduled rate, 0 where unknown.
    """

    signal: Signal
    median: float
    margin: float
    offered_per_s: float
    slos: tuple[Comparison, ...] = ()


def signals_of(base: Sequence[Second]) -> tuple[Signal, ...]:
    """The signals that a baseline carries; times only where at least one of its seconds has them."""
    times: tuple[Signal, ...] = ("latency_p99_s", "ttft_p99_s")
    return ("bad_share", "throughput_per_s", *(name for name in times if _has(base, _SERIES[name])))


def reading(evidence: Evidence, signal: Signal, row: Second) -> float | None:
    """A signal's value in one second; None where that second has none.

    Throughput counts the answers that ended in the second, where these are known, else the ok requests
    intended for it.
    """
    if signal == "bad_share":
        return row.bad / row.counted if row.counted else None
    if signal == "throughput_per_s":
        return float(evidence.completions.get(row.second, 0) if evidence.completions else row.ok)
    return row.quantiles.get(_SERIES[signal], {}).get(P99)


def bands_of(evidence: Evidence, base: Sequence[Second], slos: Sequence[Expression]) -> tuple[Band, ...]:
    """The band of each signal, from the baseline's seconds."""
    offered = [_offered_per_s(evidence, row.second) for row in base]
    rate_per_s = sum(offered) / len(offered) if offered else 0.0
    found: list[Band] = []
    for signal in signals_of(base):
        values = [value for row in base if (value := reading(evidence, signal, row)) is not None]
        median, spread = median_and_spread(values)
        margin = max(spread, _floor(signal, median))
        found.append(Band(signal, median, margin, rate_per_s, _standing_on(signal, slos)))
    return tuple(found)


def is_outside(evidence: Evidence, band: Band, row: Second) -> bool:
    """Whether a second is outside the band, to the worse side, and beyond an SLO where the signal has one.

    The throughput that is expected follows the offered rate, so that a stage's end is no fault. A second of
    which the signal has no value is not outside.
    """
    value = reading(evidence, band.signal, row)
    if value is None:
        return False
    if band.signal == "throughput_per_s":
        # At a stage's edge the smoothed rate is wrong for a moment: the lower of the two is asked for.
        offered_per_s = min(_offered_per_s(evidence, row.second), evidence.scheduled.get(row.second, 0))
        scale = offered_per_s / band.offered_per_s if band.offered_per_s else 1.0
        expected = band.median * scale
        outside = value < expected - max(band.margin * scale, _floor(band.signal, expected))
    else:
        outside = value > band.median + band.margin
    return outside and (not band.slos or any(_broken(one, band.signal, value) for one in band.slos))


def _has(base: Sequence[Second], series: str) -> bool:
    return any(P99 in row.quantiles.get(series, {}) for row in base)


def _floor(signal: Signal, median: float) -> float:
    if signal == "bad_share":
        return SHARE_FLOOR
    if signal == "throughput_per_s":
        return COUNT_FLOOR * sqrt(median)
    return max(TIME_FLOOR_SHARE * median, TIME_FLOOR_S)


def _offered_per_s(evidence: Evidence, second: int) -> float:
    first, last = (
        max(int(evidence.warmup_s), second - RATE_WINDOW_S),
        min(ceil(evidence.duration_s) - 1, second + RATE_WINDOW_S),
    )
    near = [evidence.scheduled.get(at, 0) for at in range(first, last + 1)]
    return sum(near) / len(near) if near else 0.0


def _standing_on(signal: Signal, slos: Sequence[Expression]) -> tuple[Comparison, ...]:
    """The SLOs on a signal; one for a tag or for another span says nothing of all requests."""
    wanted = {
        "bad_share": Scalar("success_rate"),
        "throughput_per_s": Scalar("throughput"),
        "latency_p99_s": Quantile(P99, "latency"),
        "ttft_p99_s": Quantile(P99, "ttft"),
    }[signal]
    bodies = [one.body for one in slos if not one.suffixes.tag and not one.suffixes.during]
    return tuple(body for body in bodies if isinstance(body, Comparison) and body.value == wanted)


def _broken(slo: Comparison, signal: Signal, value: float) -> bool:
    measured = 1 - value if signal == "bad_share" else value
    return not holds(measured, slo.op, slo.bound)
