"""Whether a running campaign must stop now: `abort_if` over what its loads have measured so far. Pure."""

from orchestrator.aggregate.evidence import seconds_since
from orchestrator.aggregate.totals import Aggregate
from orchestrator.campaign.models import Campaign
from orchestrator.facts import State
from orchestrator.plan import ActivityPlan, Plan
from orchestrator.slo.abort import breached
from orchestrator.slo.expressions import DEFAULT_WINDOW_S


def breach_of(campaign: Campaign, plan: Plan, state: State, aggregate: Aggregate, *, now_s: float) -> str:
    """Why the campaign must stop, in words, or "".

    All running loads and soaks of the open phase are pooled, those too that were lost and wait for a worker;
    one that is over says nothing more, and its silence is no breach. `now_s`: common time.
    """
    name = state.current_phase()
    start_s = state.phases[name].start_s if name is not None else None
    if name is None or start_s is None or not campaign.abort_if:
        return ""
    loads = [
        one.key
        for one in plan.phase(name).activities
        if one.is_load and _runs(one, state, elapsed_s=now_s - start_s)
    ]
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


def _runs(activity: ActivityPlan, state: State, *, elapsed_s: float) -> bool:
    """Whether a load is at work, or should be: a lost shard of a schedule that is not over is missed."""
    if any(one.activity == activity.key for one in state.live.values()):
        return True
    lasts = [state.attempts[ids[-1]] for (key, _), ids in state.shards.items() if key == activity.key]
    broken = (
        one.lost is not None or (one.exited is not None and one.exited.outcome != "done") for one in lasts
    )
    return elapsed_s < activity.duration_s and any(broken)
