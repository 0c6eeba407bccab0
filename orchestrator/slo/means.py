"""Claims about mean, max and min of a series. METRICS.md section 5."""

from dataclasses import dataclass

from orchestrator.slo.evidence import Second, SeriesSum, Verdict
from orchestrator.slo.expressions import Comparison, Stat
from orchestrator.slo.findings import Finding, compared, holds
from orchestrator.slo.names import REQUEST_SERIES
from orchestrator.slo.spans import Span
from orchestrator.slo.words import bound_text, quantity, value_text
from orchestrator.stats.batch_means import batch_means

LAG = "lag"
EMPTY = SeriesSum(count=0, sum=0.0, min=0.0, max=0.0)


@dataclass(frozen=True, slots=True)
class _Interval:
    mean: float
    lower: float
    upper: float


def judge_stat(comparison: Comparison, stat: Stat, span: Span) -> Finding:
    """Pass, fail or inconclusive for `mean`, `max` or `min` of ok requests, or of a telemetry series.

    A mean of requests is sampled: its 95% batch-means interval decides. Extremes and telemetry are compared
    whole.
    """
    rows = [(row, row.sums[stat.series]) for row in span.rows if stat.series in row.sums]
    samples = sum(sums.count for _, sums in rows)
    what = value_text(stat)
    if samples == 0:
        return Finding("inconclusive", f"no value of {stat.series} was measured")
    if stat.which == "max":
        return compared(comparison, max(s.max for _, s in rows if s.count), what=what, samples=samples)
    if stat.which == "min":
        return compared(comparison, min(s.min for _, s in rows if s.count), what=what, samples=samples)
    if stat.series not in REQUEST_SERIES:
        return compared(comparison, sum(s.sum for _, s in rows) / samples, what=what, samples=samples)
    return _judge_mean(comparison, stat, span, samples=samples)


def less_delay(finding: Finding, comparison: Comparison, stat: Stat, span: Span) -> Finding | None:
    """What a failing mean or max would be with the generator's mean or greatest lag taken off.

    None where lag was not measured. Never below zero: a request's lag is part of its latency.
    """
    lags = [row.sums[LAG] for row in span.rows if LAG in row.sums and row.sums[LAG].count]
    if finding.observed is None or not lags or stat.which == "min":
        return None
    mean_lag = sum(one.sum for one in lags) / sum(one.count for one in lags)
    lag_s = max(one.max for one in lags) if stat.which == "max" else mean_lag
    value_s = max(0.0, finding.observed - lag_s)
    verdict: Verdict = "pass" if holds(value_s, comparison.op, comparison.bound) else "fail"
    return Finding(verdict, f"{value_text(stat)} less lag is {quantity(value_s, comparison.unit)}")


def _judge_mean(comparison: Comparison, stat: Stat, span: Span, *, samples: int) -> Finding:
    interval = _interval(stat.series, span)
    mean = sum(_sums(row, stat.series).sum for row in span.rows) / samples
    allowed = bound_text(comparison)
    shown = quantity(mean, comparison.unit)
    if interval is None:
        why = f"the mean was {shown}, but fewer than 20 seconds hold a value: no interval can be given"
        return Finding("inconclusive", why, observed=mean, samples=samples)
    ends = (
        holds(interval.lower, comparison.op, comparison.bound),
        holds(interval.upper, comparison.op, comparison.bound),
    )
    verdict: Verdict = "pass" if all(ends) else "inconclusive" if any(ends) else "fail"
    low, high = quantity(interval.lower, comparison.unit), quantity(interval.upper, comparison.unit)
    why = f"the mean of {samples:,} values was {shown} (95% interval {low} to {high}); {allowed} is asked for"
    if verdict == "inconclusive":
        why += ": the bound lies inside the interval, a longer run would narrow it"
    return Finding(verdict, why, observed=mean, samples=samples)


def _interval(series: str, span: Span) -> _Interval | None:
    """The interval of the ordinary seconds, with planned fault spans added whole."""
    ordinary = _per_second(span, series, frozenset(span.seconds) - span.whole)
    found = batch_means([one.sum for one in ordinary], [one.count for one in ordinary])
    if found is None:
        return None
    whole = _per_second(span, series, span.whole)
    n_outside, n_whole = sum(one.count for one in ordinary), sum(one.count for one in whole)
    sum_whole = sum(one.sum for one in whole)

    def mixed(mean: float) -> float:
        return (sum_whole + n_outside * mean) / (n_whole + n_outside)

    return _Interval(mean=mixed(found.mean), lower=mixed(found.lower), upper=mixed(found.upper))


def _per_second(span: Span, series: str, seconds: frozenset[int]) -> list[SeriesSum]:
    rows = {row.second: row for row in span.rows}
    return [_sums(rows[second], series) if second in rows else EMPTY for second in sorted(seconds)]


def _sums(row: Second, series: str) -> SeriesSum:
    return row.sums.get(series, EMPTY)
