"""What the other live campaigns hold of the fleet, for a campaign that places shards beside them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.placement.spared import NOTHING, Occupied

if TYPE_CHECKING:
    from orchestrator.coordinator.campaign_run import CampaignRun


@dataclass(frozen=True, slots=True)
class Others:
    """`busy`, `held_by`, `doing`: as `Seen` has `busy`, `held_by` and `beside`."""

    busy: Mapping[str, int] = field(default_factory=dict)
    held_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    doing: Occupied = NOTHING


NO_OTHERS = Others()


def beside(runs: Iterable["CampaignRun"]) -> Others:
    """What these campaigns hold together."""
    busy: Counter[str] = Counter()
    held_by: dict[str, tuple[str, ...]] = {}
    doing = NOTHING
    for run in runs:
        held = run.slots_held
        busy.update(held)
        held_by.update({worker: (*held_by.get(worker, ()), run.id) for worker in held})
        doing |= run.doing
    return Others(busy, held_by, doing)
