"""Hosts that an activity may not come to: protected ones, and load and wide faults keep apart. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from orchestrator.placement.eligible import Rules
from orchestrator.plan import ActivityPlan
from workers.contract.facts import WorkerCard


@dataclass(frozen=True, slots=True)
class Occupied:
    """What goes on on the hosts of the fleet, each as a few words for people.

    `loads`: host -> the activity whose load it carries. `faults`: host -> the activity with a fault that the
    whole host feels.
    """

    loads: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: "Occupied") -> "Occupied":
        return Occupied({**self.loads, **other.loads}, {**self.faults, **other.faults})


NOTHING: Final = Occupied()
"""A fleet on which nothing goes on."""


def occupied(placed: Iterable[tuple[ActivityPlan, str]], *, campaign: str = "") -> Occupied:
    """What pairs of an activity and its host do there; `campaign`: whose they are, where not one's own."""
    of = f" of campaign {campaign}" if campaign else ""
    pairs = [(activity, host, f"{activity.key}{of}") for activity, host in placed]
    return Occupied(
        {host: words for activity, host, words in pairs if activity.needs_engine},
        {host: words for activity, host, words in pairs if activity.apart},
    )


def sparing(
    activity: ActivityPlan, fleet: Sequence[WorkerCard], rules: Rules, *, beside: Occupied = NOTHING
) -> Rules:
    """The rules, with the hosts that nothing of this activity may come to, each with its reason.

    `beside`: what goes on elsewhere.
    """
    spared: dict[str, str] = {}
    if activity.needs_engine:
        spared |= {
            host: f"is on a host that feels the fault of {key} as a whole: the load would be disturbed"
            for host, key in beside.faults.items()
        }
    if activity.apart:
        meant = (
            f"which the whole host would feel ({activity.fault}): say `on_generators: true` if that is meant"
        )
        spared |= {
            host: f"is on a host that carries load of {key}, {meant}" for host, key in beside.loads.items()
        }
        spared |= dict.fromkeys(rules.coordinators, f"is on the host of a coordinator, {meant}")
    for card in fleet if activity.kind == "chaos" else ():
        for label in activity.where.without:
            if label in card.labels:
                spared[card.host] = (
                    f"is on host {card.host}, whose label {label} `protect` keeps from every fault"
                )
    return replace(rules, spared=spared) if spared else rules
