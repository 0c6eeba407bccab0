"""Ways through a campaign that the checks share."""

from collections.abc import Iterator

from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    LoadActivity,
    Monitor,
    Phase,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    Target,
)
from orchestrator.campaign.yaml_reader import Path


def activities(campaign: Campaign) -> Iterator[tuple[Path, Phase, Activity]]:
    """Each activity with its path and its phase, in the order of the file."""
    for index, phase in enumerate(campaign.phases):
        for position, activity in enumerate(phase.activities):
            yield ("phases", index, "activities", position), phase, activity


def target_of(campaign: Campaign, name: str | None) -> Target | None:
    """The target of that name; None where there is none, or it is the monitor."""
    found = campaign.targets.get(name) if name else None
    return found if isinstance(found, Target) else None


def monitor_of(campaign: Campaign) -> Monitor | None:
    """The campaign's monitor, where it has one."""
    return next((one for one in campaign.targets.values() if isinstance(one, Monitor)), None)


def length_s(activity: LoadActivity | SoakActivity) -> float | None:
    """How long its schedule is: `duration`, or the sum of its stages; None for a trace."""
    if activity.arrivals.stages:
        return sum(stage.for_ for stage in activity.arrivals.stages)
    return activity.duration


def traffic_s(phase: Phase) -> float | None:
    """When the last traffic of a phase ends; None where it is not known before, or there is none."""
    if any(isinstance(one, RegressionActivity | SearchActivity) for one in phase.activities):
        return None
    lengths = [length_s(one) for one in phase.activities if isinstance(one, LoadActivity | SoakActivity)]
    known = [length for length in lengths if length is not None]
    return max(known) if known and len(known) == len(lengths) else None


def observed(phase: Phase, chaos: ChaosActivity) -> tuple[LoadActivity | SoakActivity, ...]:
    """What a fault observes: loads and soaks that it names, else all of the phase (on its target, if any)."""
    traffic = [one for one in phase.activities if isinstance(one, LoadActivity | SoakActivity)]
    if chaos.observe is not None:
        return tuple(one for one in traffic if one.name in chaos.observe)
    return tuple(one for one in traffic if chaos.target in (None, one.target))
