"""Whether the traffic is steady enough for a fault: what is broken already says nothing of a fault. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import floor

from orchestrator.aggregate.evidence import seconds_since
from orchestrator.aggregate.totals import ActivityTotals, Aggregate
from orchestrator.campaign.models import Campaign, ChaosActivity, Phase
from orchestrator.facts import State
from orchestrator.judging.observing import observed_by
from orchestrator.plan import ActivityPlan, PhasePlan, Plan
from orchestrator.slo.evidence import Evidence, Second
from orchestrator.slo.expressions import (
    Body,
    Comparison,
    Expression,
    Goodput,
    Outcomes,
    Quantile,
    Scalar,
    Stat,
)
from orchestrator.slo.fault_spans import BASELINE_S
from orchestrator.slo.judge import judge
from workers.contract.schedule import OpenArrivals, cumulated
from workers.contract.sketch import EMPTY, merge_all
from workers.contract.snapshot import JUDGED

LOOKS_AHEAD_S = 1.5
"""Before the first fault: a stop takes some tenths of a second to every worker."""
TOO_LATE_S = 0.5
"""A leader that looks later than so long before the fault would stop it half-way."""
COMES_IN_S = 3.0
"""How far behind the numbers of a second may be."""
LEAST_WINDOWS = 10
"""One-second windows of a baseline (METRICS.md 9)."""


def looks_at(plan: PhasePlan) -> float | None:
    """When to look, in seconds since the phase's start; None where no fault is done on traffic."""
    begins_s = [one.at_s for one in plan.activities if one.kind == "chaos" and one.steps]
    return max(0.0, min(begins_s) - LOOKS_AHEAD_S) if begins_s else None


def unsteady(campaign: Campaign, plan: Plan, state: State, aggregate: Aggregate, *, now_s: float) -> str:
    """Why the faults of the open phase must not be done, in words; empty where they may, or it is not time.

    Every activity that one of them observes must hold its objectives over the 30 s before the first of them,
    as far as they are in; one that cannot be called broken holds. `now_s`: common time.
    """
    name = state.current_phase()
    start_s = state.phases[name].start_s if name is not None else None
    if name is None or start_s is None or state.phases[name].withheld:
        return ""
    phase = plan.phase(name)
    looks_s = looks_at(phase)
    elapsed_s = now_s - start_s
    if looks_s is None or not looks_s <= elapsed_s <= looks_s + LOOKS_AHEAD_S - TOO_LATE_S:
        return ""
    model = next(one for one in campaign.phases if one.name == name)
    first_s = looks_s + LOOKS_AHEAD_S
    whys = (
        _why_not(
            activity, model, campaign, totals=aggregate.of(activity.key), first_s=first_s, now_s=elapsed_s
        )
        for activity in _observed(model, phase)
    )
    return "; ".join(filter(None, whys))


def _observed(model: Phase, phase: PhasePlan) -> list[ActivityPlan]:
    """The loads and soaks that any of the phase's faults observes."""
    keys = {
        key for one in model.activities if isinstance(one, ChaosActivity) for key in observed_by(one, phase)
    }
    return [one for one in phase.activities if one.key in keys]


def _why_not(
    activity: ActivityPlan,
    phase: Phase,
    campaign: Campaign,
    *,
    totals: ActivityTotals,
    first_s: float,
    now_s: float,
) -> str:
    """Why one activity is not steady, in words."""
    from_s = max(activity.warmup_s, first_s - BASELINE_S)
    until_s = min(first_s, floor(now_s))
    if until_s <= from_s:
        return ""
    rows = tuple(
        row for row in seconds_since(totals, floor(from_s)) if from_s <= row.second < until_s and row.counted
    )
    due = _due(activity, from_s=from_s, until_s=now_s - COMES_IN_S)
    if len(rows) < min(LEAST_WINDOWS, due) / 2:
        span = f"the {until_s - from_s:.0f} s before the first fault"
        return f"{activity.key} is not steady: {len(rows)} seconds with answers in {span}"
    evidence = _evidence(activity, totals, rows, from_s=from_s, until_s=until_s)
    own = next(one for one in phase.activities if one.name == activity.name)
    standing = (*getattr(own, "slos", ()), *campaign.slos)
    for one in _judgeable(standing):
        said = judge(one, evidence, place="slos", campaign_slos=campaign.slos, validity=campaign.validity)
        if said.verdict == "fail":
            return f"{activity.key} is not steady before the first fault: {one.text}: {said.why}"
    return ""


def _due(activity: ActivityPlan, *, from_s: float, until_s: float) -> int:
    """Seconds of the span in which requests were due whose numbers should be in by now."""
    seconds = max(0, floor(until_s) - floor(from_s))
    if not isinstance(activity.arrivals, OpenArrivals) or not seconds:
        return seconds
    offered = cumulated(activity.arrivals, until_s) - cumulated(activity.arrivals, from_s)
    return min(seconds, floor(offered))


def _judgeable(standing: Iterable[Expression]) -> list[Expression]:
    """The objectives on all requests that late numbers cannot bend, over the whole of the span.

    Rates count what has come in, and the last seconds may not have.
    """
    return [
        replace(one, suffixes=replace(one.suffixes, over_s=(), outside_faults=False))
        for one in standing
        if _is_of_requests(one.body) and not one.suffixes.during and one.suffixes.tag is None
    ]


def _is_of_requests(body: Body) -> bool:
    if isinstance(body, Outcomes):
        return True
    if not isinstance(body, Comparison):
        return False
    return isinstance(body.value, Quantile | Stat | Goodput) or body.value == Scalar("success_rate")


def _evidence(
    activity: ActivityPlan,
    totals: ActivityTotals,
    rows: tuple[Second, ...],
    *,
    from_s: float,
    until_s: float,
) -> Evidence:
    """These rows and nothing that only the end can know."""
    groups: Mapping[str, tuple[Second, ...]] = {JUDGED: rows}
    return Evidence(
        activity=activity.key,
        kind=activity.kind,
        duration_s=until_s,
        warmup_s=from_s,
        groups=groups,
        quantile_of=lambda group, series, q, seconds: _quantile(totals, group, series, q=q, seconds=seconds),
    )


def _quantile(
    totals: ActivityTotals, group: str, series: str, *, q: float, seconds: frozenset[int]
) -> float | None:
    wanted = (row for second, row in totals.group(group).items() if second in seconds)
    sketch = merge_all(row.sketches.get(series, EMPTY) for row in wanted)
    return sketch.quantile(q) if sketch.count else None
