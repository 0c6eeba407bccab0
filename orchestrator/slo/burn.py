"""How fast the error budget burns: the bad share as a multiple of what the objective allows.

METRICS.md section 5, `burn_rate`; Beyer et al., The Site Reliability Workbook, chapter 5.
"""

from collections.abc import Sequence
from itertools import accumulate

from orchestrator.slo.evidence import Second
from orchestrator.slo.expressions import Comparison, Expression, success_objectives
from orchestrator.slo.findings import Finding, compared, holds
from orchestrator.slo.spans import Refusal, Span
from orchestrator.slo.words import bound_text, seconds


def objective(own: Sequence[Expression], campaign: Sequence[Expression]) -> float | Refusal:
    """The one `success_rate >= s` among the activity's slos, else among the campaign's, as 0..1."""
    found = sorted(set(success_objectives(own) or success_objectives(campaign)))
    if len(found) != 1:
        return Refusal(
            "invalid", f"burn_rate needs exactly one success_rate objective, there are {len(found)}"
        )
    if found[0] >= 1:
        return Refusal("invalid", "burn_rate has no budget to burn where success_rate is to be 100%")
    return found[0]


def strictest_objective(slos: Sequence[Expression]) -> float:
    """The highest `success_rate >= s` among the slos of all activities that are pooled, as 0..1.

    Raises ValueError where there is none that leaves a budget to burn.
    """
    found = [share for share in success_objectives(slos) if share < 1]
    if not found:
        raise ValueError("burn_rate needs a success_rate objective below 100%, there is none")
    return max(found)


def burn_rate(rows: Sequence[Second], *, objective_share: float) -> float | None:
    """The bad share over 1 - s; None where nothing was counted."""
    counted = sum(row.counted for row in rows)
    return sum(row.bad for row in rows) / counted / (1 - objective_share) if counted else None


def judge_window(comparison: Comparison, span: Span, *, objective_share: float) -> Finding:
    """The finding of one window of `burn_rate < B over A`."""
    value = burn_rate(span.rows, objective_share=objective_share)
    if value is None:
        return Finding("inconclusive", "no request was counted")
    return compared(comparison, value, what="the burn rate", samples=sum(row.counted for row in span.rows))


def judge_two_windows(
    comparison: Comparison, span: Span, *, windows_s: tuple[float, float], objective_share: float
) -> Finding:
    """The finding of `burn_rate < B over A and B`: breached only where both trailing windows are.

    Every second from the one at which the longer window is full is looked at. The moment shown is the one at
    which the better of the two windows is at its worst.
    """
    longer_s, shorter_s = windows_s
    moments = _trailing(span, longer_s=longer_s, shorter_s=shorter_s, budget=1 - objective_share)
    samples = sum(row.counted for row in span.rows)
    if not moments:
        why = (
            f"no moment had both windows ({seconds(longer_s)} and {seconds(shorter_s)}) with requests in them"
        )
        return Finding("inconclusive", why, samples=samples)
    upward = comparison.op in {">", ">="}

    def both(pair: tuple[int, float, float]) -> float:
        return max(pair[1:]) if upward else min(pair[1:])

    second, long, short = min(moments, key=both) if upward else max(moments, key=both)
    observed = both((second, long, short))
    good = holds(observed, comparison.op, comparison.bound)
    why = (
        f"at its worst, {seconds(second)} into the phase, the burn rate was {long:.3g} over "
        f"{seconds(longer_s)} and {short:.3g} over {seconds(shorter_s)}; "
        f"{bound_text(comparison)} in one of them is asked for"
    )
    return Finding("pass" if good else "fail", why, observed=observed, samples=samples)


def _trailing(
    span: Span, *, longer_s: float, shorter_s: float, budget: float
) -> list[tuple[int, float, float]]:
    """(second, burn over the longer window, over the shorter) wherever the longer is full."""
    rows = {row.second: row for row in span.rows}
    first, end = min(span.seconds), max(span.seconds) + 1
    counted = list(accumulate((rows[s].counted if s in rows else 0 for s in range(first, end)), initial=0))
    bad = list(accumulate((rows[s].bad if s in rows else 0 for s in range(first, end)), initial=0))

    def burn(at: int, window_s: float) -> float | None:
        begin = at - round(window_s)
        number = counted[at] - counted[begin]
        return (bad[at] - bad[begin]) / number / budget if number else None

    found: list[tuple[int, float, float]] = []
    for at in range(round(longer_s), end - first + 1):
        long, short = burn(at, longer_s), burn(at, shorter_s)
        if long is not None and short is not None:
            found.append((first + at, long, short))
    return found
