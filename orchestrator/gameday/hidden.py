"""Faults that responders are not to see yet: hidden ones, until they are over or somebody reveals them."""

from collections.abc import Sequence

from orchestrator.campaign.models import Campaign, ChaosActivity
from orchestrator.facts import Phase, State
from orchestrator.plan import ActivityPlan, Plan, activity_keys
from workers.contract import facts as f

HIDDEN = "a hidden fault"
"""What stands in place of its name."""


def hidden_keys(campaign: Campaign) -> dict[str, str]:
    """Key -> name of each activity that is hidden; in a rehearsal that is each fault."""
    keys = activity_keys(campaign)
    rehearsed = campaign.gameday is not None and campaign.gameday.tabletop
    return {
        keys[phase.name, one.name]: one.name
        for phase in campaign.phases
        for one in phase.activities
        if isinstance(one, ChaosActivity) and (one.hidden or rehearsed)
    }


def kept_back(campaign: Campaign, plan: Plan, state: State) -> frozenset[str]:
    """Keys of the activities that must not be shown now."""
    names = hidden_keys(campaign)
    if not names or state.ended is not None:
        return frozenset()
    shown = {one.activity for one in state.revealed} | {one.activity for one in state.posed}
    return frozenset(
        key
        for key, name in names.items()
        if name not in shown and key not in shown and not _over(plan.activity(key), state)
    )


def said_of(fact: f.Fact, keys: Sequence[str] | frozenset[str]) -> bool:
    """Whether a fact is about an attempt of one of these activities."""
    attempt = getattr(fact, "attempt", "")
    return bool(attempt) and attempt.rsplit(":", 2)[0] in keys


def _over(activity: ActivityPlan, state: State) -> bool:
    """Whether it was done and is reverted, or never will be."""
    if state.phases.get(activity.phase, Phase()).over:
        return True
    attempts = state.attempts_of(activity.key)
    return bool(attempts) and not any(one.live for one in attempts)
