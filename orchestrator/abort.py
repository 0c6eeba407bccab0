"""Whether a running campaign must stop now: `abort_if` over what its loads have measured so far. Pure."""

from orchestrator.aggregate.evidence import seconds_since
from orchestrator.aggregate.totals import Aggregate
from orchestrator.campaign.models import Campaign
from orchestrator.facts import State
from orchestrator.plan import Plan
from orchestrator.slo.abort import breached
from orchestrator.slo.expressions import DEFAULT_WINDOW_S


def breach_of(campaign: Campaign, plan: Plan, state: State, aggregate: Aggregate, *, now_s: float) -> str:
    """Why the campaign must stop, in words, or "".

    All running loads and soaks of the open phase are pooled; one that is over says nothing more, and its
    silence is no breach. `now_s`: common time.
    """
    name = state.current_phase()
    start_s = state.phases[name].start_s if name is not None else None
    if name is None or start_s is None or not campaign.abort_if:
        return ""
    running = {one.activity for one in state.attempts.values() if one.live and one.phase == name}
    loads = [one.key for one in plan.phase(name).activities if one.is_load and one.key in running]
    if not loads:
        return ""
    longest_s = max(
        DEFAULT_WINDOW_S, *(length for one in campaign.abort_if for length in one.suffixes.over_s)
    )
    first = int(now_s - start_s - longest_s) - 1
    pooled = [row for key in loads for row in seconds_since(aggregate.of(key), first)]
    phase = next(one for one in campaign.phases if one.name == name)
    slos = [slo for activity in phase.activities for slo in getattr(activity, "slos", ())]
    for expression in campaign.abort_if:
        why = breached(expression, pooled, now_s=now_s - start_s, slos=(*campaign.slos, *slos))
        if why is not None:
            return why
    return ""
