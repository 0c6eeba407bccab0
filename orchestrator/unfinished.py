"""What parses and plans but does not run in this version. Pure.

One list: `run` and `submit` refuse by it, `plan` prints it.
"""

from collections.abc import Iterator
from typing import Final

from orchestrator.campaign.checks.targets import works
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    LoadActivity,
    RegressionActivity,
    SoakActivity,
    Target,
)
from orchestrator.slo.expressions import Alert, Gauge

AT_TOP: Final = ("priority", "share_target", "protect", "comparison", "gameday")
IN_TRAFFIC: Final = ("split", "shadow", "levels")
IN_REGRESSION: Final = ("baseline", "features", "mutate", "probes")
IN_CHAOS: Final = ("faults", "order", "intensity", "hidden")


def unfinished(campaign: Campaign) -> tuple[str, ...]:
    """Everything in the campaign that cannot run yet: where it stands, and its name."""
    found = [key for key in AT_TOP if getattr(campaign, key)]
    for name, target in campaign.targets.items():
        if not isinstance(target, Target):
            continue
        if not works("protocols", target.protocol):
            found.append(f"targets.{name}: protocol {target.protocol}")
    for phase in campaign.phases:
        for activity in phase.activities:
            found += [f"{phase.name}/{activity.name}: {what}" for what in _in_activity(activity)]
    return tuple(found)


def _in_activity(activity: Activity) -> Iterator[str]:
    """What of one activity cannot run yet."""
    match activity:
        case LoadActivity() | SoakActivity():
            yield from _in_load(activity)
        case RegressionActivity():
            yield from (key for key in IN_REGRESSION if getattr(activity, key))
        case ChaosActivity():
            yield from (key for key in IN_CHAOS if getattr(activity, key))
            if activity.fault is not None and not works("chaos", activity.fault):
                yield f"fault {activity.fault}"
            for expression in activity.expect:
                if isinstance(expression.body, Alert | Gauge):
                    yield f"expect {expression.text}"
        case _:
            yield f"kind {activity.kind}"


def _in_load(activity: LoadActivity | SoakActivity) -> Iterator[str]:
    yield from (key for key in IN_TRAFFIC if getattr(activity, key))
