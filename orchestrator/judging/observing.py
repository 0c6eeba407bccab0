"""Which activities a fault's expectations are about. Pure."""

from orchestrator.campaign.models import ChaosActivity
from orchestrator.plan import PhasePlan


def observed_by(chaos: ChaosActivity, plan: PhasePlan) -> tuple[str, ...]:
    """Keys of the activities that a fault observes: named, or every load and soak on its target."""
    names = chaos.observe
    return tuple(
        activity.key
        for activity in plan.activities
        if activity.is_load
        and (activity.name in names if names is not None else chaos.target in (None, activity.target))
    )
