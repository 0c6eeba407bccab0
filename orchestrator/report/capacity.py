"""What an activity's engines were good for, by the calibration of the hosts that they ran on."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.aggregate.evidence import Measured
from orchestrator.facts import Attempt
from orchestrator.placement.capacity import AT_ONCE, beyond, good_to, peak_of, round_down
from orchestrator.plan import ActivityPlan
from workers.contract.addresses import limit_at
from workers.contract.facts import WorkerCard
from workers.contract.schedule import OpenArrivals, peak_per_s

NEARLY = 0.9
"""Of a ceiling: who sent so much of it over the whole of its time was held by it for most of it."""

MOST_NAMED = 4
"""Workers that one warning names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """`good_to`: up to which peak its shards keep up, None where a host was not calibrated.

    `peak`: the most that was offered per second, or that streamed at once; None where that is not known. Both
    in `unit`. `caution`: what to say of a peak that is beyond it, else "".
    """

    good_to: float | None
    peak: float | None
    unit: str
    caution: str


def held_back(plan: ActivityPlan, rate_per_s: float, ceiling_per_s: float | None) -> str:
    """What to say of a load whose users, tries or cases waited for a ceiling on its target; "" for others."""
    if ceiling_per_s is None or rate_per_s < NEARLY * ceiling_per_s:
        return ""
    if isinstance(plan.arrivals, OpenArrivals) and peak_per_s(plan.arrivals) >= NEARLY * ceiling_per_s:
        return ""
    return (
        f"it was held to {ceiling_per_s:,.6g}/s, its part of the ceiling on target {plan.target} "
        "(rate_limit, or the operator's --target-limit): it may have sent more without that"
    )


def limited_by(plan: ActivityPlan, attempts: Sequence[Attempt], fleet: Sequence[WorkerCard]) -> str:
    """Which of the workers that ran it had a limit of their own for its target, in words; "" for none."""
    ran = {one.worker for one in attempts}
    limits = {
        card.worker: limit / max(1, card.slots)
        for card in fleet
        if card.worker in ran and (limit := limit_at(plan.address, card.target_limits)) is not None
    }
    if not limits:
        return ""
    named = ", ".join(f"{worker} {per_s:,.6g}/s" for worker, per_s in sorted(limits.items())[:MOST_NAMED])
    more = f" and {len(limits) - MOST_NAMED} more" if len(limits) > MOST_NAMED else ""
    return f"workers' own --target-limit for {plan.address} holds each slot: {named}{more}"


def capacity(measured: Measured, attempts: Sequence[Attempt], fleet: Sequence[WorkerCard]) -> Capacity:
    """Of the first attempts of a load's shards: they are what the load was placed on."""
    plan = measured.plan
    cards = {card.worker: card for card in fleet}
    firsts = {one.shard: one for one in reversed(attempts)}
    ran_by = [cards[one.worker] for one in firsts.values() if one.worker in cards]
    peak, unit = peak_of(plan)
    if unit == AT_ONCE:
        peak = float(max(measured.evidence.in_flight.values(), default=0))
    most = good_to(plan, ran_by) if plan.is_load and len(ran_by) == len(firsts) else None
    return Capacity(
        good_to=None if most is None else float(round_down(most)),
        peak=peak or None,
        unit=unit.strip(),
        caution="" if most is None else beyond(peak, most, unit),
    )
