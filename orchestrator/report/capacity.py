"""What an activity's engines were good for, by the calibration of the hosts that they ran on."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.aggregate.evidence import Measured
from orchestrator.capacity import AT_ONCE, beyond, good_to, peak_of, round_down
from orchestrator.facts import Attempt
from workers.contract.facts import WorkerCard


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
