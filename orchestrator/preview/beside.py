"""A planned campaign beside what is there: its turn, ceilings on its targets, hosts nobody measured. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from orchestrator.campaign.models import Campaign
from orchestrator.placement.ceilings import Ground, holdings, parts, refusal
from orchestrator.placement.eligible import Rules, select_for
from orchestrator.placement.queue import Contender, queue
from orchestrator.plan import Plan
from workers.contract.facts import WorkerCard
from workers.contract.schedule import OpenArrivals


@dataclass(frozen=True, slots=True)
class CeilingPreview:
    """A ceiling on a target. `operator`: set by the fleet's, not by the campaign's file.

    `planned_per_s`: the most that the campaign's schedules offer at once; `asks_per_s`: with closed loads,
    retries and golden cases, None where only the target bounds those. `parts`: activity -> what its engines
    are held to.
    """

    targets: tuple[str, ...]
    url: str
    per_s: float
    operator: bool
    planned_per_s: float
    asks_per_s: float | None
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Beside:
    """`waits`: why it could not begin now, "" where it could, and where no live fleet was looked at.

    `refused`: why this fleet would not take it. `priority`, `share_target`: its own. `uncalibrated`: hosts
    that may run its loads and were not calibrated: whether an engine there keeps up is not judged.
    """

    priority: int
    share_target: bool
    waits: str
    refused: str
    ceilings: tuple[CeilingPreview, ...]
    uncalibrated: tuple[str, ...]


def beside_of(
    campaign: Campaign,
    plan: Plan,
    *,
    fleet: Sequence[WorkerCard],
    rules: Rules,
    live: Sequence[Contender],
    ground: Ground,
) -> Beside:
    """How the campaign would stand if it were submitted now."""
    held = holdings(campaign, plan, ground)
    mine = Contender(
        id="",
        by="",
        seed=plan.seed,
        priority=campaign.priority,
        submitted_s=inf,
        begun=False,
        shares=campaign.share_target,
        holdings=held,
        ahead=plan.phases,
    )
    shares = parts(campaign, plan, ground)
    aimed = {one.key: one.target for phase in plan.phases for one in phase.activities}
    return Beside(
        priority=campaign.priority,
        share_target=campaign.share_target,
        waits=queue([*live, mine], fleet=fleet, rules=rules).get(mine.id, ""),
        refused=refusal(campaign, plan, ground),
        ceilings=tuple(
            CeilingPreview(
                targets=one.targets,
                url=one.url,
                per_s=one.ceiling_per_s,
                operator=one.operator,
                planned_per_s=one.planned_per_s,
                asks_per_s=one.asks_per_s if isfinite(one.asks_per_s) else None,
                parts={key: per_s for key, per_s in shares.items() if aimed[key] in one.targets},
            )
            for one in held
            if one.ceiling_per_s is not None
        ),
        uncalibrated=_uncalibrated(plan, fleet, rules),
    )


def _uncalibrated(plan: Plan, fleet: Sequence[WorkerCard], rules: Rules) -> tuple[str, ...]:
    """Hosts that may run one of its open loops, and of which nobody knows what an engine can do there."""
    if not rules.sized:
        return ()
    loads = [
        one for phase in plan.phases for one in phase.activities if isinstance(one.arrivals, OpenArrivals)
    ]
    able = (card for one in loads for card in select_for(one, fleet, seed=plan.seed, rules=rules))
    return tuple(sorted({card.host for card in able if card.calibration is None}))
