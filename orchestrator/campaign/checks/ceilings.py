"""Ceilings: no phase offers a target's address more than its lowest `rate_limit` (CAMPAIGN.md section 4)."""

from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.campaign.checks.offered import peak_together_per_s
from orchestrator.campaign.checks.walk import target_of
from orchestrator.campaign.fault_clients import clients_per_s
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    LoadActivity,
    Phase,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
)
from orchestrator.campaign.yaml_reader import Path
from workers.contract.addresses import address_of

_KEYS: Final = {SearchActivity: "between", ChaosActivity: "with"}

Placed = tuple[Path, Activity]
"""An activity with its path."""


def check_ceilings(campaign: Campaign) -> Iterator[Finding]:
    """What is offered above a ceiling, and activities for which one leaves nothing."""
    for name, limit_per_s in limits(campaign).items():
        names = names_beside(campaign, name)
        for index, phase in enumerate(campaign.phases):
            aimed = on_targets(phase, names, index=index)
            if aimed:
                yield from _in_phase(aimed, name, limit_per_s)


def limits(campaign: Campaign) -> dict[str, float]:
    """Name of a target -> the lowest rate limit of its address; of several names the one that sets it."""
    found: dict[str, float] = {}
    for name in campaign.targets:
        said = {
            one: target.rate_limit
            for one in names_beside(campaign, name)
            if (target := target_of(campaign, one)) is not None and target.rate_limit is not None
        }
        if said:
            lowest = min(said, key=lambda one: said[one])
            found[lowest] = said[lowest]
    return found


def names_beside(campaign: Campaign, name: str) -> tuple[str, ...]:
    """All names in the campaign for the place of one target, itself among them."""
    target = target_of(campaign, name)
    if target is None or target.url is None:
        return (name,)
    places = {one: _place(campaign, one) for one in campaign.targets}
    return tuple(one for one, place in places.items() if place == places[name])


def on_targets(phase: Phase, names: Sequence[str], *, index: int) -> list[Placed]:
    """The phase's activities that send requests to any of these targets."""
    kinds = LoadActivity | SoakActivity | SearchActivity | RegressionActivity
    return [
        (("phases", index, "activities", at), one)
        for at, one in enumerate(phase.activities)
        if (isinstance(one, kinds) or _clients_per_s(one)) and getattr(one, "target", None) in names
    ]


def planned_per_s(together: Sequence[Activity]) -> float:
    """The highest planned sum; a search may be at its highest level at any time, a fault's clients too."""
    searched = [
        one.between[1] for one in together if isinstance(one, SearchActivity) and one.find == "max rate"
    ]
    loads = [one for one in together if isinstance(one, LoadActivity | SoakActivity)]
    return peak_together_per_s(loads) + sum(searched) + sum(map(_clients_per_s, together))


def _clients_per_s(activity: Activity) -> float:
    """What the clients of a fault send."""
    return clients_per_s(activity) if isinstance(activity, ChaosActivity) else 0.0


def _place(campaign: Campaign, name: str) -> str:
    target = target_of(campaign, name)
    url = (target.url or "") if target is not None else ""
    return (address_of(url) or url) if url else name


def _in_phase(aimed: Sequence[Placed], name: str, limit_per_s: float) -> Iterator[Finding]:
    peak = planned_per_s([one for _, one in aimed])
    limited = f"target {name} has rate_limit {limit_per_s:g}/s"
    scheduled = [(path, one) for path, one in aimed if not isinstance(one, RegressionActivity)]
    # a rounding of the last digit is no breach
    if peak > limit_per_s * (1 + 1e-9):
        path, first = scheduled[0]
        key = _KEYS.get(type(first), "arrivals")
        together = " together" if len(scheduled) > 1 else ""
        message = f"up to {peak:g}/s are offered{together}; {limited}"
        yield Finding((*path, key), message, "offer less, or raise rate_limit of the target")
        return
    for path, one in aimed:
        if peak and _is_paced_by_answers(one) and peak * (1 + 1e-9) >= limit_per_s:
            message = f"nothing is left for it: others of its phase offer up to {peak:g}/s, and {limited}"
            yield Finding(path, message, "offer less, raise rate_limit, or put it into a phase of its own")


def _is_paced_by_answers(activity: Activity) -> bool:
    if isinstance(activity, LoadActivity | SoakActivity):
        return activity.arrivals.process == "closed"
    return isinstance(activity, RegressionActivity)
