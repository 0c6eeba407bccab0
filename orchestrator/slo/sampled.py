"""Claims about shares of requests: quantiles, goodput and success rate. METRICS.md section 4."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.slo.bounds import goodput_bound, quantile_bound
from orchestrator.slo.evidence import Evidence, Second
from orchestrator.slo.expressions import Comparison, Goodput, Quantile
from orchestrator.slo.findings import Finding
from orchestrator.slo.spans import Span
from orchestrator.slo.words import count, percent, percent_down, quantity
from orchestrator.slo.words import seconds as in_words
from orchestrator.stats.deff import design_effect
from orchestrator.stats.quantile_bounds import ALPHA, Sample, claim, limits, needed, supports
from workers.contract.bounds import BoundCount

NOTHING = BoundCount(0, 0, 0)


@dataclass(frozen=True, slots=True)
class ShareRule:
    """What is counted each second, and how great a share of it may be over.

    `quantile`: 1 minus that share. `series`: the request-series it rests on. `noun` is what is counted,
    `over` says what became of those that are over. `worsened_by_delay`: the series again, where lateness of
    the generator can only add to the over ones, unless a series itself is bent both ways; empty for success
    and lower limits.
    """

    counts: Callable[[Second], BoundCount]
    quantile: float
    series: tuple[str, ...]
    noun: str
    over: str
    worsened_by_delay: tuple[str, ...]


def share_rule(comparison: Comparison) -> ShareRule:
    """The rule behind a quantile, a goodput or `success_rate`."""
    match comparison.value:
        case Quantile(q=q, series=series):
            bound = quantile_bound(comparison, comparison.value)
            noun = "gap" if series == "itl" else "request"
            at = quantity(comparison.bound, comparison.unit)
            rule = ShareRule(_counted(bound.id), q, (series,), noun, f"over {at}", (series,))
            return rule if comparison.op in {"<", "<="} else _complement(rule, f"not over {at}")
        case Goodput(limits=wanted):
            bound = goodput_bound(comparison.value)
            named = tuple(one.series for one in wanted)
            counts = _counted(bound.id)
            rule = ShareRule(counts, comparison.bound, named, "request", "short of a limit", named)
            return rule if comparison.op in {">", ">="} else _complement(rule, "within every limit")
        case _:
            rule = ShareRule(_failures, comparison.bound, (), "request", "not answered well", ())
            return rule if comparison.op in {">", ">="} else _complement(rule, "answered well")


def judge_share(rule: ShareRule, span: Span, *, windows: int) -> Finding:
    """Pass, fail or inconclusive for one of `windows` spans, with the reason in words."""
    return _found(rule, span, over=lambda counts: counts.over, windows=windows)


def judge_share_less_delay(rule: ShareRule, span: Span, *, windows: int) -> Finding:
    """The same with the generator's own delay taken off each request."""
    return _found(rule, span, over=lambda counts: counts.over_less_delay, windows=windows)


def sample_of(rule: ShareRule, span: Span, *, over: Callable[[BoundCount], int]) -> Sample:
    """The counts of a span: its ordinary seconds with their design effect, its fault seconds whole."""
    counted = [(row.second in span.whole, rule.counts(row)) for row in span.rows]
    ordinary = [(counts.n, over(counts)) for whole, counts in counted if not whole]
    return Sample(
        n=sum(n for n, _ in ordinary),
        over=sum(t for _, t in ordinary),
        deff=design_effect([n for n, _ in ordinary], [t for _, t in ordinary]),
        whole_n=sum(counts.n for whole, counts in counted if whole),
        whole_over=sum(over(counts) for whole, counts in counted if whole),
    )


def observed_value(comparison: Comparison, span: Span, evidence: Evidence) -> float | None:
    """What to show beside the bound: the share itself, or the sketch's quantile with failures above all.

    None where no sketch is at hand, or where so many failed that the quantile is beyond every answer.
    """
    rule = share_rule(comparison)
    if not isinstance(comparison.value, Quantile):
        sample = sample_of(rule, span, over=lambda counts: counts.over)
        upward = comparison.op in {">", ">="}
        return (1 - sample.share if upward else sample.share) if sample.total else None
    if evidence.quantile_of is None:
        return None
    series, q = comparison.value.series, comparison.value.q
    bad = 0 if series == "itl" else sum(row.bad for row in span.rows)
    answered = (
        sum(_counted(quantile_bound(comparison, comparison.value).id)(row).n for row in span.rows) - bad
    )
    if answered <= 0:
        return None
    raised = q * (answered + bad) / answered
    return evidence.quantile_of(span.group, series, raised, span.seconds) if raised <= 1 else None


def _found(rule: ShareRule, span: Span, *, over: Callable[[BoundCount], int], windows: int) -> Finding:
    sample = sample_of(rule, span, over=over)
    if sample.total == 0:
        what = f"no {rule.noun} with {' and '.join(rule.series)}" if rule.series else f"no {rule.noun}"
        return Finding("inconclusive", f"{what} was counted")
    verdict = claim(sample, quantile=rule.quantile, fail_alpha=ALPHA / windows)
    why = _reason(rule, sample, span, verdict=verdict, windows=windows)
    return Finding(verdict, why, samples=round(sample.total), effective=sample.effective)


def _reason(rule: ShareRule, sample: Sample, span: Span, *, verdict: str, windows: int) -> str:
    most = 1 - rule.quantile
    seen = f"{percent(sample.share, apart_from=most)} of {count(sample.total, rule.noun)} were {rule.over}"
    seen += _failed(rule, span)
    allowed = f"at most {percent(most)} may be"
    worth = f", worth {sample.effective:,.0f} independent ones" if sample.deff > 1.05 else ""
    if sample.whole_n:
        worth += f", {count(sample.whole_n, rule.noun)} of them in planned fault spans and counted whole"
    if verdict == "fail":
        lower = percent(limits(sample, alpha=ALPHA / windows).lower, apart_from=most)
        return f"{seen}{worth}; {allowed} (lower {percent(1 - ALPHA / windows)} limit {lower})"
    upper = percent(limits(sample).upper, apart_from=most)
    if verdict == "pass":
        unseen = "; clusters rarer than one in the judged span cannot be seen" if sample.over == 0 else ""
        return f"{seen}{worth}; {allowed} (upper 99% limit {upper}){unseen}"
    carried = f"{count(sample.total, rule.noun)} support {percent_down(supports(sample))}"
    return (
        f"{seen}{worth}; {allowed}, but the upper 99% limit is {upper}: {carried}, "
        f"not {percent(rule.quantile)}; {_settled_by(rule, sample, span)}"
    )


def _failed(rule: ShareRule, span: Span) -> str:
    """How many of those that are over a limit of time never had a time: nobody should look for slow ones."""
    failed = sum(row.bad for row in span.rows)
    timed = rule.worsened_by_delay and "itl" not in rule.series  # gaps of failed requests are not counted
    return f", {failed:,} of them because they failed" if timed and failed else ""


def _settled_by(rule: ShareRule, sample: Sample, span: Span) -> str:
    more = needed(sample, quantile=rule.quantile)
    if more is None:
        return "no longer run would settle it while the share sits at the bound"
    rate_per_s = sample.total / span.length_s
    return f"about {count(more, rule.noun)} more would settle it ({in_words(more / rate_per_s)} at this rate)"


def _counted(bound_id: str) -> Callable[[Second], BoundCount]:
    return lambda row: row.bounds.get(bound_id, NOTHING)


def _failures(row: Second) -> BoundCount:
    return BoundCount(row.counted, row.bad, row.bad)


def _complement(rule: ShareRule, over: str) -> ShareRule:
    def counts(row: Second) -> BoundCount:
        seen = rule.counts(row)
        return BoundCount(seen.n, seen.n - seen.over, seen.n - seen.over_less_delay)

    return ShareRule(counts, 1 - rule.quantile, rule.series, rule.noun, over, worsened_by_delay=())
