"""Which expressions the planned number of requests can decide, said before anything runs. Pure.

METRICS.md section 4. What faults do to the target cannot be known; that it recovers at once is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.plan import ActivityPlan, PhasePlan
from orchestrator.preview.offered import offered_between
from orchestrator.slo.expressions import Alert, Comparison, Drift, Expression, Gauge, Scalar, Stat, is_sampled
from orchestrator.slo.fault_spans import BASELINE_S, LEAST_GUARD_S
from orchestrator.slo.sampled import share_rule
from orchestrator.slo.words import count, percent, percent_down, seconds
from orchestrator.stats.batch_means import BLOCKS
from orchestrator.stats.quantile_bounds import Sample, smallest_n, supports
from workers.contract.schedule import OpenArrivals

LEAST_BASELINE_S: Final = 10
"""Windows before an injection that a fault is held against, at least: METRICS.md section 9."""

SEEN_WELL_S: Final = 5
"""Windows in a row back in the band before a target counts as recovered: METRICS.md section 9."""

Decides = Literal["yes", "no", "whole", "open"]
"""yes: there are enough requests; no: too few for any verdict; whole: measured whole, so that no number of
requests matters; open: only the run can tell."""
Span = tuple[float, float]
Window = tuple[Span, ...]
"""What is judged together, without what faults take out of it; seconds of the phase."""


@dataclass(frozen=True, slots=True)
class SloPreview:
    """Whether its requests can decide one expression. `requests`: so many are expected to be judged.

    `fault`: the chaos activity whose expectation it is, or empty.
    """

    slo: str
    place: str
    activity: str
    decides: Decides
    requests: float | None
    why: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What expressions are judged on: a planned activity and its phase; `cases`: of a regression."""

    activity: ActivityPlan
    phase: PhasePlan
    cases: float | None = None


def slo_preview(
    expression: Expression, judged: Judged, *, place: str, fault: ActivityPlan | None = None
) -> SloPreview:
    """Whether the planned requests can decide one expression. `fault`: whose expectation it is."""
    n: float | None = None
    decides: Decides = "open"
    body = expression.body
    if isinstance(body, Alert | Gauge):
        why = "asked of the monitor" if isinstance(body, Alert) else "read from the target's metrics"
    elif isinstance(body, Comparison) and body.value == Scalar("recovery"):
        decides, why = _recovery(judged, fault, bound_s=body.bound)
    elif not is_sampled(expression) or not isinstance(body, Comparison):
        decides, why = "whole", "no number of requests is needed"
    elif isinstance(body.value, Drift):
        n, why = judged.cases, "its bar follows from the number of cases a side"
    else:
        windows = _windows(expression, judged, fault=fault)
        fewest = _fewest(judged, windows)
        if fewest is None:
            why = "how many requests it is judged on is not known beforehand"
        elif isinstance(body.value, Stat):
            decides, why = _mean(windows or ())
        else:
            n = fewest
            decides, why = _quantile(body, n, windows=windows or (), exact=_is_exact(judged))
    by = fault.key if fault is not None else ""
    return SloPreview(expression.text, place, judged.activity.key, decides, n, why, by)


def level_preview(expression: Expression, *, activity: str, least_per_s: float, held_s: float) -> SloPreview:
    """Whether one step of a search at its lowest level decides a `while`; `held_s`: step without settling."""
    body = expression.body
    if not is_sampled(expression) or not isinstance(body, Comparison) or isinstance(body.value, Drift | Stat):
        return SloPreview(
            expression.text,
            "while",
            activity,
            "whole",
            None,
            "at each level, whatever the number of requests",
        )
    n = least_per_s * held_s
    decides, why = _quantile(body, n, windows=(((0.0, held_s),),), exact=False)
    return SloPreview(expression.text, "while", activity, decides, n, f"at the lowest level {why}")


def _quantile(body: Comparison, n: float, *, windows: tuple[Window, ...], exact: bool) -> tuple[Decides, str]:
    q = share_rule(body).quantile
    if not 0 < q < 1:
        return "whole", "a bound that nothing can break, or nothing keep"
    least = smallest_n(over=0, quantile=q)
    said = count(n, "request") if exact else f"about {count(n, 'request')}"
    if len(windows) > 1:
        said += " in the emptiest window"
    if n >= least:
        finer = round(1 - (1 - q) / 10, 12)
        return "yes", f"{said} can carry {percent(q)}; {percent(finer)} would take {_least(finer)}"
    carried = percent_down(supports(Sample(n=n, over=0))) if n else "nothing"
    length_s = min((_length_s(window) for window in windows), default=0.0)
    longer = f", {seconds(length_s * (least - n) / n)} more at this rate" if n and length_s else ""
    return "no", f"{said} carry at most {carried}; {percent(q)} would take {least:,}{longer}"


def _least(q: float) -> str:
    return f"{smallest_n(over=0, quantile=q):,}"


def _mean(windows: tuple[Window, ...]) -> tuple[Decides, str]:
    least_s = min((_length_s(window) for window in windows), default=0.0)
    why = f"its interval needs {BLOCKS} seconds with requests, there are {least_s:g}"
    return "yes" if least_s >= BLOCKS else "no", why


def _recovery(judged: Judged, fault: ActivityPlan | None, *, bound_s: float) -> tuple[Decides, str]:
    """Whether there is calm enough before a fault, and time enough after it, to see the target recover."""
    if fault is None:
        return "open", "no fault is named"
    before_s = max(0.0, min(fault.at_s - judged.activity.warmup_s, BASELINE_S))
    if before_s < LEAST_BASELINE_S:
        return "no", (
            f"{before_s:g} s before the injection to hold it against, {LEAST_BASELINE_S} are needed: "
            "inject later, or warm up for less"
        )
    left_s = judged.activity.duration_s - fault.at_s - fault.for_s
    if left_s < bound_s + SEEN_WELL_S:
        return "no", (
            f"{left_s:g} s of traffic are left after it; a recovery in {bound_s:g} s is seen "
            f"{SEEN_WELL_S} s later"
        )
    return "whole", f"{before_s:g} s before the injection to hold it against, {left_s:g} s after it"


def _is_exact(judged: Judged) -> bool:
    arrivals = judged.activity.arrivals
    return arrivals is None or (
        isinstance(arrivals, OpenArrivals) and arrivals.process in ("constant", "trace")
    )


def _fewest(judged: Judged, windows: tuple[Window, ...] | None) -> float | None:
    """Expected requests (or cases) of the emptiest window; None where that is not known."""
    arrivals = judged.activity.arrivals
    if windows is None:
        return None
    if not isinstance(arrivals, OpenArrivals):
        return judged.cases
    counts = [sum(offered_between(arrivals, *span) for span in window) for window in windows]
    return min(counts, default=0.0)


def _windows(
    expression: Expression, judged: Judged, *, fault: ActivityPlan | None
) -> tuple[Window, ...] | None:
    """What is judged, window by window; None where it is not known beforehand."""
    suffixes = expression.suffixes
    whole = (judged.activity.warmup_s, judged.activity.duration_s)
    if suffixes.tag is not None and suffixes.tag[0] != "stage":
        return None
    name = suffixes.during or (suffixes.tag[1] if suffixes.tag else None)
    if name is None and fault is not None and not suffixes.outside_faults:
        name = fault.name
    if name is not None:
        found = _named(name, judged)
        if found is None:
            return None
        whole = (max(whole[0], found[0]), min(whole[1], found[1]))
    spans = _cut(whole, suffixes.over_s[0]) if suffixes.over_s else (whole,)
    if not suffixes.outside_faults:
        return tuple((span,) for span in spans)
    left = (_outside(span, judged.phase) for span in spans)
    return tuple(window for window in left if window)


def _named(name: str, judged: Judged) -> Span | None:
    """The span of a stage, or of a held fault; how long a one-shot one is felt is not known."""
    arrivals = judged.activity.arrivals
    if isinstance(arrivals, OpenArrivals):
        staged = [one for one in arrivals.segments if one.stage == name]
        if staged:
            return staged[0].start_s, staged[-1].end_s
    fault = next((one for one in judged.phase.activities if one.name == name and one.kind == "chaos"), None)
    return (fault.at_s, fault.at_s + fault.for_s) if fault is not None and fault.for_s else None


def _outside(whole: Span, phase: PhasePlan) -> Window:
    """What planned faults leave of a span."""
    parts: tuple[Span, ...] = (whole,)
    for fault in phase.activities:
        if fault.kind == "chaos":
            out = (fault.at_s - LEAST_GUARD_S, fault.at_s + fault.for_s)
            parts = tuple(piece for part in parts for piece in _without(part, out))
    return parts


def _without(part: Span, out: Span) -> Iterator[Span]:
    for from_s, to_s in ((part[0], min(part[1], out[0])), (max(part[0], out[1]), part[1])):
        if to_s > from_s:
            yield from_s, to_s


def _cut(span: Span, window_s: float) -> tuple[Span, ...]:
    """Consecutive windows; a rest shorter than half of one joins the one before."""
    from_s, to_s = span
    number = max(1, int((to_s - from_s) / window_s + 0.5 + 1e-9))
    edges = [from_s + place * window_s for place in range(number)]
    return tuple(zip(edges, [*edges[1:], to_s], strict=True))


def _length_s(window: Window) -> float:
    return sum(to_s - from_s for from_s, to_s in window)
