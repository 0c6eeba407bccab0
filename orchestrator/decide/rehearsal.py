"""A rehearsal at the table: phases pass in their time, each fault is told in words, nothing is done."""

from collections.abc import Iterator

from orchestrator.decide.actions import Action, Judge, Say
from orchestrator.facts import State
from orchestrator.plan import ActivityPlan, PhasePlan
from workers.contract import facts as f


def rehearse(state: State, phase: PhasePlan, now_s: float) -> Iterator[Action]:
    """What is due of the open phase: its start, faults at their time or before if somebody asks, its end."""
    start_s = state.phases[phase.name].start_s
    if start_s is None:
        started = f.PhaseStarted(phase=phase.name, start_s=now_s, at_s=now_s)
        yield Say(f"phase:{phase.name}:started", started)
        return
    asked = {one.activity for one in state.revealed}
    posed = {one.activity for one in state.posed}
    for activity in phase.activities:
        due = now_s >= start_s + activity.at_s or activity.name in asked
        if activity.kind == "chaos" and activity.key not in posed and due:
            said = f.Posed(activity=activity.key, text=_scenario(activity), at_s=now_s)
            yield Say(f"posed:{activity.key}", said)
    if state.aborting is not None or now_s >= start_s + phase.duration_s:
        yield Judge(phase.name)


def _scenario(activity: ActivityPlan) -> str:
    """The fault as it is told at the table, step by step."""
    on = f" on {activity.target}" if activity.target else ""
    steps = (one.fault + (f" for {one.for_s:g} s" if one.for_s else "") for one in activity.steps)
    return f"{', then '.join(steps)}{on} ({activity.where.describe()})"
