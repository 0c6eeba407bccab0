"""Judge one expression on one activity: what is left by its suffixes is claimed and weighed.

Pure. METRICS.md sections 3 to 5. Reasons that lie outside one expression (coverage, start skew, faults
without effect) are `orchestrator.slo.validity`'s; all come together in `orchestrator.verdict`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator.judging.recovery import Impact, assess, windows_less_delay
from orchestrator.slo.alerts import judge_alert
from orchestrator.slo.burn import judge_two_windows, judge_window, objective
from orchestrator.slo.counted import judge_measured, judge_outcomes, judge_scalar, missed_in
from orchestrator.slo.evidence import Evidence, FaultSpan, Judgement, Validity
from orchestrator.slo.expressions import (
    Alert,
    Comparison,
    Drift,
    Expression,
    Gauge,
    Outcomes,
    Quantile,
    Scalar,
    Stat,
    Suffixes,
)
from orchestrator.slo.findings import Finding, compared, refused, worst
from orchestrator.slo.gauges import judge_gauge
from orchestrator.slo.means import judge_stat, less_delay
from orchestrator.slo.names import REQUEST_SERIES
from orchestrator.slo.sampled import (
    judge_share,
    judge_share_less_delay,
    observed_value,
    share_rule,
)
from orchestrator.slo.spans import Refusal, Span, select
from orchestrator.slo.validity import lateness, series_gap, weigh
from orchestrator.slo.words import seconds, value_text

Judge = Callable[[Span, int], Finding]
"""(span, number of windows) -> what is found in it."""


def judge(
    expression: Expression,
    evidence: Evidence,
    *,
    place: str,
    campaign_slos: Sequence[Expression],
    validity: Validity,
    fault: str | None = None,
) -> Judgement:
    """Say pass, fail, inconclusive or invalid of one expression on one activity, with the reason in words.

    `place`: slos, expect or while. `campaign_slos` stand on every load and soak besides `evidence.slos`.
    `fault` names the chaos activity whose `expect` this is. Raises ValueError for an `expect` without it.
    """
    if place == "expect" and fault is None:
        raise ValueError(f"{expression.text!r} is an expectation: the fault that it is about must be named")
    body, suffixes = expression.body, expression.suffixes
    if isinstance(body, Alert):
        finding = judge_alert(body, evidence, fault=fault)
    elif isinstance(body, Gauge):
        finding = judge_gauge(body, evidence, fault=fault)
    elif isinstance(body, Comparison) and body.value == Scalar("recovery"):
        finding = _recovery(
            body, evidence, fault=suffixes.during or fault, slos=(*evidence.slos, *campaign_slos)
        )
    else:
        finding = _over_windows(
            suffixes,
            evidence,
            fault=fault,
            judge_span=_chosen(
                body, suffixes, evidence, campaign_slos=campaign_slos, late=lateness(evidence, validity)
            ),
        )
    return Judgement(
        slo=expression.text,
        place=place,
        activity=evidence.activity,
        verdict=finding.verdict,
        observed=finding.observed,
        bound=_bound(body),
        samples=finding.samples,
        effective_samples=finding.effective,
        why=finding.why,
    )


def judge_observed(
    expression: Expression,
    observed: Sequence[Evidence],
    *,
    campaign_slos: Sequence[Expression],
    validity: Validity,
    fault: str,
) -> Judgement:
    """One expectation of a chaos activity over all activities that it observes: the worst verdict counts.

    The judgement carries the chaos activity's name, its reason names the observed one. Raises ValueError
    where nothing is observed.
    """
    if not observed:
        raise ValueError(f"{fault} observes no activity")
    judgements = [
        judge(expression, one, place="expect", campaign_slos=campaign_slos, validity=validity, fault=fault)
        for one in observed
    ]
    order = ("invalid", "fail", "inconclusive", "pass")
    decides = min(judgements, key=lambda one: order.index(one.verdict))
    return replace(decides, activity=fault, why=f"on {decides.activity}: {decides.why}")


def _over_windows(
    suffixes: Suffixes, evidence: Evidence, *, fault: str | None, judge_span: Judge | Refusal
) -> Finding:
    if isinstance(judge_span, Refusal):
        return refused(judge_span)
    single = suffixes if len(suffixes.over_s) < 2 else replace(suffixes, over_s=())
    spans = select(single, evidence, fault=fault)
    if isinstance(spans, Refusal):
        return refused(spans)
    return worst([(span.label, judge_span(span, len(spans))) for span in spans])


def _chosen(
    body: Comparison | Outcomes,
    suffixes: Suffixes,
    evidence: Evidence,
    *,
    campaign_slos: Sequence[Expression],
    late: str,
) -> Judge | Refusal:
    """How a body is judged on one span."""
    if isinstance(body, Outcomes):
        return lambda span, _: weigh(
            judge_outcomes(body, span, missed=missed_in(span, evidence)),
            series=(),
            less_delay=None,
            late=late,
        )
    match body.value:
        case Scalar(name="burn_rate"):
            share = objective(evidence.slos, campaign_slos)
            return share if isinstance(share, Refusal) else _burning(body, suffixes, share, late=late)
        case Stat() as stat:
            return lambda span, _: _stat(body, stat, span, evidence, late=late)
        case Quantile(series=series) if series not in REQUEST_SERIES:
            return lambda span, _: _telemetry(body, span, evidence)
        case Drift():
            return lambda span, _: judge_measured(body, value_text(body.value), span, evidence)
        case Scalar(name=name) if name != "success_rate":
            return lambda span, _: judge_scalar(body, name, span, evidence)
        case _:
            return lambda span, windows: _share(body, span, evidence, windows=windows, late=late)


def _share(comparison: Comparison, span: Span, evidence: Evidence, *, windows: int, late: str) -> Finding:
    rule = share_rule(comparison)
    finding = judge_share(rule, span, windows=windows)
    weighed = weigh(
        finding,
        series=rule.worsened_by_delay,
        less_delay=judge_share_less_delay(rule, span, windows=windows) if rule.series else None,
        late=late,
    )
    return replace(weighed, observed=observed_value(comparison, span, evidence))


def _stat(comparison: Comparison, stat: Stat, span: Span, evidence: Evidence, *, late: str) -> Finding:
    if stat.series not in REQUEST_SERIES:
        return _telemetry(comparison, span, evidence)
    finding = judge_stat(comparison, stat, span)
    upper = comparison.op in {"<", "<="} and stat.which != "min"
    without = less_delay(finding, comparison, stat, span) if upper else None
    return weigh(finding, series=(stat.series,) if upper else (), less_delay=without, late=late)


def _telemetry(comparison: Comparison, span: Span, evidence: Evidence) -> Finding:
    """A telemetry series: from the span's rows where they carry it, else as measured elsewhere."""
    value = comparison.value
    if isinstance(value, Stat):
        read = sum(value.series in row.sums for row in span.rows)
        gap = series_gap(value.series, missing=len(span.seconds) - read, of=len(span.seconds)) if read else ""
        if gap:
            return Finding("invalid", gap, samples=read)
        if read:
            return judge_stat(comparison, value, span)
    return judge_measured(comparison, value_text(value), span, evidence)


def _burning(comparison: Comparison, suffixes: Suffixes, share: float, *, late: str) -> Judge:
    def judged(span: Span, _: int) -> Finding:
        if len(suffixes.over_s) == 2:
            windows_s = (suffixes.over_s[0], suffixes.over_s[1])
            found = judge_two_windows(comparison, span, windows_s=windows_s, objective_share=share)
        else:
            found = judge_window(comparison, span, objective_share=share)
        return weigh(found, series=(), less_delay=None, late=late)

    return judged


def _recovery(
    comparison: Comparison, evidence: Evidence, *, fault: str | None, slos: Sequence[Expression]
) -> Finding:
    span = evidence.fault(fault) if fault else None
    if span is None:
        return Finding("invalid", f"the fault {fault} was never injected")
    if span.without_effect:
        return Finding("invalid", f"the fault {fault} {span.without_effect}")
    impact = assess(evidence, span, slos)
    if impact.inconclusive:
        return Finding("inconclusive", impact.inconclusive, samples=impact.baseline_windows)
    found = _recovered_in_time(comparison, span, impact)
    if found.verdict == "fail":
        less = _recovered_in_time(comparison, span, assess(windows_less_delay(evidence, span), span, slos))
        if less.verdict == "pass":
            why = f"{found.why}; with the generator's own delay taken off it would be a pass: {less.why}"
            return replace(found, verdict="invalid", why=why)
    return found


def _recovered_in_time(comparison: Comparison, span: FaultSpan, impact: Impact) -> Finding:
    since = "injection" if span.one_shot else "revert"
    if impact.recovery_s is None:
        why = f"not recovered when the activity ended, {seconds(impact.had_s)} after the {since}"
        return Finding("fail", why, samples=impact.baseline_windows)
    what = f"the recovery, counted from the {since},"
    finding = compared(comparison, impact.recovery_s, what=what, samples=impact.baseline_windows)
    if abs(impact.recovery_s - comparison.bound) < span.uncertainty_s:
        why = f"{finding.why}; but the clocks agree only to within {seconds(span.uncertainty_s)}"
        return replace(finding, verdict="invalid", why=why)
    return finding


def _bound(body: Comparison | Outcomes | Alert | Gauge) -> float:
    """The number that the observed one is held against; of `never` and `always` that is no request at all."""
    match body:
        case Comparison(bound=bound):
            return bound
        case Alert(within_s=within_s):
            return within_s or 0.0
        case Gauge(within_s=limit_s):
            return limit_s
        case Outcomes():
            return 0.0
