"""Gauges of a target: whether one came back after a fault (METRICS.md section 5, `metric`).

Band: median ± max(3 × 1.4826 × MAD, 10% of the median, 1) of the 30 s before the injection. No gauge says
which of its sides is the worse one, so it is the side to which the fault moved it further.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final

from orchestrator.slo.evidence import Evidence, FaultSpan, Verdict
from orchestrator.slo.expressions import Gauge
from orchestrator.slo.fault_spans import baseline_seconds, seconds_between
from orchestrator.slo.findings import Finding
from orchestrator.slo.validity import MOST_GAP
from orchestrator.slo.watched import GaugeLog, gauge_name
from orchestrator.slo.words import percent, seconds
from orchestrator.stats.differences import band

FLOOR_SHARE: Final = 0.1
FLOOR: Final = 1.0
LEAST_READINGS: Final = 10
"""Fewer are no baseline: METRICS.md section 9."""
BACK_FOR: Final = 5
"""So many consecutive readings in the band are a return, as for the traffic."""
_ORDER: Final = ("invalid", "fail", "inconclusive", "pass")


def judge_gauge(body: Gauge, evidence: Evidence, *, fault: str | None) -> Finding:
    """The finding of `metric(...) returns within`, on every target that shows it: the worst counts."""
    span = evidence.fault(fault) if fault is not None else None
    if span is None:
        return Finding("invalid", f"the fault {fault} was never injected")
    if span.without_effect:
        return Finding("invalid", f"the fault {fault} {span.without_effect}")
    if span.over_s is None:
        return Finding("invalid", "the fault was never seen reverted")
    named = {
        target: log
        for name, log in evidence.watched.gauges.items()
        if name == gauge_name(target := name.partition(" ")[0], body)
    }
    if not named:
        return Finding("invalid", f"it was not read: {evidence.watched.why or 'nobody watched it'}")
    found = [_on(target, log, body, span, evidence) for target, log in named.items()]
    return min(found, key=lambda one: _ORDER.index(one.verdict))


def _on(target: str, log: GaugeLog, body: Gauge, span: FaultSpan, evidence: Evidence) -> Finding:
    base = [log.values[second] for second in sorted(baseline_seconds(evidence, span)) if second in log.values]
    if len(base) < LEAST_READINGS:
        why = f"{len(base)} readings of {target} before the injection, {LEAST_READINGS} are needed"
        return Finding("inconclusive", why + (f": {log.why}" if log.why else ""), samples=len(base))
    assert span.over_s is not None  # noqa: S101  # the caller has looked
    median, spread = band(base)
    margin = max(spread, FLOOR_SHARE * abs(median), FLOOR)
    until_s = min(span.over_s + body.within_s + BACK_FOR, evidence.duration_s)
    wanted = seconds_between(ceil(span.over_s), until_s)  # while the fault acts the target may show nothing
    missing = len([second for second in wanted if second not in log.values])
    if missing > MOST_GAP * len(wanted):
        since = "injection" if span.one_shot else "revert"
        why = f"{target} showed no value in {percent(missing / len(wanted))} of the time from the {since} on"
        return Finding("invalid", why + (f" ({log.why})" if log.why else ""), samples=len(log.values))
    felt = seconds_between(span.injected_s, until_s)
    outside = _outside(log.values, felt, median=median, margin=margin)
    since = "injection" if span.one_shot else "revert"
    around = f"{median:.4g} ± {margin:.4g} on {target}"
    back_s = _back_s(log.values, outside, from_s=span.over_s)
    if back_s is None:
        had_s = max(0.0, max(log.values) + 1 - span.over_s)
        why = f"not back in its band ({around}) {seconds(had_s)} after the {since}, when it was last read"
        verdict: Verdict = "fail" if had_s >= body.within_s else "inconclusive"
        return Finding(verdict, why, observed=had_s, samples=len(base))
    took_s = max(0.0, back_s - span.over_s)
    why = f"back in its band ({around}) {seconds(took_s)} after the {since}"
    doubt_s = log.uncertainty_s + span.uncertainty_s
    if abs(took_s - body.within_s) < doubt_s:
        why = f"{why}; but the clocks agree only to within {seconds(doubt_s)}"
        return Finding("invalid", why, observed=took_s, samples=len(base))
    return Finding("pass" if took_s <= body.within_s else "fail", why, observed=took_s, samples=len(base))


def _outside(
    values: Mapping[int, float], felt: frozenset[int], *, median: float, margin: float
) -> frozenset[int]:
    """The seconds outside the band, on the side to which it was left further while the fault was felt."""
    above = {second for second, value in values.items() if value > median + margin}
    below = {second for second, value in values.items() if value < median - margin}
    up = max((values[second] - median for second in above & felt), default=0.0)
    down = max((median - values[second] for second in below & felt), default=0.0)
    return frozenset(above if up >= down else below)


def _back_s(values: Mapping[int, float], outside: frozenset[int], *, from_s: float) -> float | None:
    """The first reading from `from_s` on of several in a row that lie in the band."""
    row: list[int] = []
    for second in sorted(second for second in values if second >= ceil(from_s)):
        row = [] if second in outside else [*row, second]
        if len(row) == BACK_FOR:
            return float(row[0])
    return None
