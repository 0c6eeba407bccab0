"""burn_rate needs one objective: the one `success_rate >= s` of what it is judged on (METRICS.md 5)."""

from collections.abc import Iterable, Iterator

from orchestrator.campaign.checks.walk import activities, observed
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign, ChaosActivity, LoadActivity, SoakActivity
from orchestrator.campaign.yaml_reader import Path
from orchestrator.slo.expressions import Comparison, Expression, Scalar, success_objectives


def check_burn_rate(campaign: Campaign) -> Iterator[Finding]:
    """Each burn_rate without exactly one objective."""
    for path, _, activity in activities(campaign):
        if isinstance(activity, LoadActivity | SoakActivity):
            objectives = success_objectives((*activity.slos, *campaign.slos))
            yield from _check((*path, "slos"), activity.slos, objectives, f"activity {activity.name}")
    yield from _expectations(campaign)
    yield from _campaign_slos(campaign)
    yield from _abort_if(campaign)


def _expectations(campaign: Campaign) -> Iterator[Finding]:
    """Judged on each activity that the fault observes, hence needing one objective on each."""
    for path, phase, activity in activities(campaign):
        for one in observed(phase, activity) if isinstance(activity, ChaosActivity) else ():
            objectives = success_objectives((*one.slos, *campaign.slos))
            expectations = activity.expect if isinstance(activity, ChaosActivity) else ()
            wrong = list(_check((*path, "expect"), expectations, objectives, f"activity {one.name}"))
            yield from wrong
            if wrong:
                break


def _campaign_slos(campaign: Campaign) -> Iterator[Finding]:
    """Judged on each load and soak, hence needing one objective on each."""
    for _, _, activity in activities(campaign):
        if isinstance(activity, LoadActivity | SoakActivity):
            objectives = success_objectives((*activity.slos, *campaign.slos))
            wrong = list(_check(("slos",), campaign.slos, objectives, f"activity {activity.name}"))
            yield from wrong
            if wrong:
                return


def _abort_if(campaign: Campaign) -> Iterator[Finding]:
    """Judged over all that runs in a phase, pooled: the campaign's objective, else one that all share."""
    own = success_objectives(campaign.slos)
    for phase in campaign.phases:
        running = [one for one in phase.activities if isinstance(one, LoadActivity | SoakActivity)]
        theirs = {s for one in running for s in success_objectives(one.slos)}
        objectives = own or tuple(theirs)
        if running:
            wrong = list(_check(("abort_if",), campaign.abort_if, objectives, f"phase {phase.name}"))
            yield from wrong
            if wrong:
                return


def _check(
    path: Path, expressions: Iterable[Expression], objectives: tuple[float, ...], where: str
) -> Iterator[Finding]:
    for index, expression in enumerate(expressions):
        body = expression.body
        if isinstance(body, Comparison) and body.value == Scalar("burn_rate") and len(objectives) != 1:
            found = "none" if not objectives else str(len(objectives))
            message = f"burn_rate needs exactly one success_rate >= ... in the slos; {where} has {found}"
            yield Finding((*path, index), message)
