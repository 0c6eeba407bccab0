"""What parses and plans but does not run in this version. Pure.

One list: `run` and `submit` refuse by it, `plan` prints it.
"""

from collections.abc import Iterator
from typing import Final

from orchestrator.campaign.checks.targets import works
from orchestrator.campaign.composing import parts_of
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    LoadActivity,
    RegressionActivity,
    SoakActivity,
    Target,
)
from workers.chaos.contract import kind_of

AT_TOP: Final = ("comparison",)
IN_TRAFFIC: Final = ("split", "shadow", "levels")
IN_REGRESSION: Final = ("baseline", "features", "mutate", "probes")


def unfinished(campaign: Campaign) -> tuple[str, ...]:
    """Everything in the campaign that cannot run yet: where it stands, and its name."""
    found = [key for key in AT_TOP if getattr(campaign, key)]
    for name, target in campaign.targets.items():
        if not isinstance(target, Target):
            continue
        if not works(target.protocol):
            found.append(f"targets.{name}: protocol {target.protocol}")
    for phase in campaign.phases:
        for activity in phase.activities:
            found += [f"{phase.name}/{activity.name}: {what}" for what in _in_activity(activity)]
    return tuple(found)


def felt_by_all(campaign: Campaign) -> tuple[str, ...]:
    """Faults that a whole host feels, of activities that do not say that it may be one of the campaign's."""
    return tuple(
        f"{phase.name}/{activity.name}: fault {part.fault}"
        for phase in campaign.phases
        for activity in phase.activities
        if isinstance(activity, ChaosActivity) and not activity.on_generators
        for part in parts_of(activity)
        if kind_of(part.fault).wide
    )


def _in_activity(activity: Activity) -> Iterator[str]:
    """What of one activity cannot run yet."""
    match activity:
        case LoadActivity() | SoakActivity():
            yield from _in_load(activity)
        case RegressionActivity():
            yield from (key for key in IN_REGRESSION if getattr(activity, key))
        case ChaosActivity():
            return
        case _:
            yield f"kind {activity.kind}"


def _in_load(activity: LoadActivity | SoakActivity) -> Iterator[str]:
    yield from (key for key in IN_TRAFFIC if getattr(activity, key))
