"""What a campaign asks of each target's place, the ceilings there, and each activity's part of them. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from orchestrator.campaign.composing import parts_of
from orchestrator.campaign.models import Activity, Campaign, ChaosActivity, TelemetryActivity
from orchestrator.campaign.models import Target as TargetModel
from orchestrator.plan import ActivityPlan, Plan
from workers.contract.addresses import address_of, apart, joined, limit_at
from workers.contract.broker.connection import masked
from workers.contract.schedule import OpenArrivals, peak_per_s

ROUNDED: Final = 1 + 1e-9
"""A rounding of the last digit is no breach."""
SLACK: Final = 1.1
"""Of a scheduled load beside other campaigns: at just its rate random arrivals would now and then be cut."""
NO_LIMITS: Final[Mapping[str, float]] = MappingProxyType({})
NOT_ASKED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known beside the campaign file.

    `urls`: target -> url of a demo target that was started. `limits`: HOST:PORT -> most requests per second,
    as the fleet's operator says. `leads_to`: host -> its addresses.
    """

    urls: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=lambda: NO_LIMITS)
    leads_to: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOT_ASKED)


NOTHING_KNOWN: Final = Ground()


@dataclass(frozen=True, slots=True)
class Holding:
    """One place that a campaign loads.

    `targets`: their names in its file. `places`: all that it is compared by: HOST:PORT by name and address.
    `url`: for people. `planned_per_s`: the highest rate that its schedules offer together; `asks_per_s`: the
    most that it may come to, `inf` where only its target bounds that. `ceiling_per_s`: the lowest that its
    file or the operator sets, None without one; `operator`: it is the operator's.
    """

    targets: tuple[str, ...]
    places: frozenset[str]
    url: str
    planned_per_s: float = 0.0
    asks_per_s: float = 0.0
    ceiling_per_s: float | None = None
    operator: bool = False


@dataclass(frozen=True, slots=True)
class _Member:
    """An activity on one place: its plan, and the most that it may send on top of its schedule."""

    plan: ActivityPlan
    extra_per_s: float
    code: bool

    @property
    def planned_per_s(self) -> float:
        arrivals, clients = self.plan.arrivals, self.plan.clients_per_s
        if not isinstance(arrivals, OpenArrivals):
            return clients
        return peak_per_s(arrivals) * max(1, self.plan.turns)


def holdings(campaign: Campaign, plan: Plan, ground: Ground) -> tuple[Holding, ...]:
    """Every place that the campaign loads or puts a fault on; two names of one place are one."""
    found: list[Holding] = []
    for names, places, url in _places(campaign, ground):
        ceiling, operator = _ceiling(campaign, names, places, ground)
        planned, asks = 0.0, 0.0
        for members in _members(campaign, plan, names):
            together = _together_per_s(members)
            most = together + sum(one.extra_per_s for one in members)
            planned = max(planned, together)
            asks = max(asks, most if ceiling is None else max(together, min(most, ceiling)))
        found.append(Holding(names, places, url, planned, asks, ceiling, operator))
    return tuple(found)


def parts(campaign: Campaign, plan: Plan, ground: Ground) -> dict[str, float]:
    """Activity key -> the most that it may send per second, so that all at once stay under a ceiling.

    Each has what its schedule offers, and a tenth for chance. What is left goes to those that may send more,
    closed loads, retries and golden cases, alike. Where a campaign shares its target nothing is left beyond
    what it has asked for.
    """
    found: dict[str, float] = {}
    for names, places, _ in _places(campaign, ground):
        ceiling, _ = _ceiling(campaign, names, places, ground)
        if ceiling is None:
            continue
        for members in _members(campaign, plan, names):
            together = _together_per_s(members)
            asks = together + sum(one.extra_per_s for one in members)
            budget = min(ceiling, asks * SLACK) if campaign.share_target else ceiling
            shares = _shared_out(members, max(0.0, budget - together))
            # a recording beside another load, or a limit that came after the campaign was accepted
            fits = min(1.0, ceiling / together) if together else 1.0
            found |= {key: per_s * fits for key, per_s in shares.items()}
    return found


def refusal(campaign: Campaign, plan: Plan, ground: Ground) -> str:
    """Why an operator's limit forbids this campaign, in words; empty where it does not.

    A closed load is slowed down to it instead: its users wait.
    """
    for one in holdings(campaign, plan, ground):
        if not one.operator or one.ceiling_per_s is None:
            continue
        limit = f"the operator of this fleet limits {one.url} to {one.ceiling_per_s:g}/s over all campaigns"
        if one.planned_per_s > one.ceiling_per_s * ROUNDED:
            return f"up to {one.planned_per_s:g}/s are offered to target {' and '.join(one.targets)}; {limit}"
        for members in _members(campaign, plan, one.targets):
            for member in members:
                if member.code:
                    return f"{limit}, and users of a locustfile ({member.plan.key}) cannot be held to that"
                if not member.planned_per_s and _together_per_s(members) * ROUNDED >= one.ceiling_per_s:
                    used = "which the phase's other activities use up"
                    return f"{limit}, {used}: nothing is left for {member.plan.key}"
    return ""


def hosts_of(campaign: Campaign, ground: Ground) -> tuple[str, ...]:
    """Hosts of everything that the campaign loads, for whoever resolves names."""
    found = (apart(one)[0] for _, places, _ in _places(campaign, ground) for one in places if _is_place(one))
    return tuple(dict.fromkeys(found))


def _places(campaign: Campaign, ground: Ground) -> Iterator[tuple[tuple[str, ...], frozenset[str], str]]:
    """Names of targets in use, with all that their place is compared by; names of one place together."""
    groups: list[tuple[list[str], set[str], str]] = []
    for name, url in _used(campaign, ground):
        places = _compared_by(url, ground)
        same = [group for group in groups if group[1] & places]
        names = [*(one for group in same for one in group[0]), name]
        shown = same[0][2] if same else masked(url)
        groups = [group for group in groups if group not in same]
        groups.append((names, places.union(*(group[1] for group in same)), shown))
    for names, places, shown in groups:
        yield tuple(dict.fromkeys(names)), frozenset(places), shown


def _used(campaign: Campaign, ground: Ground) -> Iterator[tuple[str, str]]:
    """Name and URL of each target that is loaded or faulted; of a proxy also where it leads."""
    for phase in campaign.phases:
        for activity in phase.activities:
            for name in _named(activity):
                target = campaign.targets.get(name)
                if isinstance(target, TargetModel):
                    yield name, ground.urls.get(name) or target.url or f"demo:{name}"
            for part in parts_of(activity) if isinstance(activity, ChaosActivity) else ():
                if isinstance(part.options.get("upstream"), str):
                    yield activity.name, f"http://{part.options['upstream']}"


def _named(activity: Activity) -> Iterator[str]:
    if isinstance(activity, TelemetryActivity):
        return
    for key in ("target", "baseline", "shadow"):
        if (name := getattr(activity, key, None)) is not None:
            yield name
    yield from getattr(activity, "split", None) or ()


def _compared_by(url: str, ground: Ground) -> set[str]:
    """A URL of which only workers know the place is compared as it is written."""
    address = address_of(url)
    if not address:
        return {url}
    host, port = apart(address)
    return {address, *(joined(one, port) for one in ground.leads_to.get(host, ()))}


def _is_place(text: str) -> bool:
    return "://" not in text and not text.startswith(("${", "demo:"))


def _ceiling(
    campaign: Campaign, names: Sequence[str], places: frozenset[str], ground: Ground
) -> tuple[float | None, bool]:
    """The lowest ceiling on a place, and whether it is the operator's."""
    models = (campaign.targets.get(name) for name in names)
    said = [one.rate_limit for one in models if isinstance(one, TargetModel) and one.rate_limit is not None]
    own = min(said, default=math.inf)
    limits = (limit_at(place, ground.limits) for place in places if _is_place(place))
    operators = min((one for one in limits if one is not None), default=math.inf)
    lowest = min(own, operators)
    return (None if lowest == math.inf else lowest), operators < own


def _members(campaign: Campaign, plan: Plan, names: Sequence[str]) -> Iterator[list[_Member]]:
    """Of each phase the activities that send requests to these targets."""
    for model, phase in zip(campaign.phases, plan.phases, strict=True):
        pairs = zip(model.activities, phase.activities, strict=True)
        members = [
            _member(one, planned)
            for one, planned in pairs
            if (planned.needs_engine or planned.clients_per_s) and planned.target in names
        ]
        if members:
            yield members


def _member(model: Activity, plan: ActivityPlan) -> _Member:
    """Closed loads, cases and recorded arrivals that nobody has read know no bound but a ceiling."""
    if isinstance(model, ChaosActivity):
        return _Member(plan, 0.0, code=False)
    code = getattr(model, "locustfile", None) is not None
    member = _Member(plan, math.inf, code)
    if not isinstance(plan.arrivals, OpenArrivals):
        return member
    retries = getattr(model, "retries", None)
    again = 0 if retries is None else retries.attempts - 1
    return _Member(plan, member.planned_per_s * again, code)


def _together_per_s(members: Sequence[_Member]) -> float:
    """The highest sum of the planned rates at one time.

    Rates are linear between corners, so it stands at a corner, seen from one side of it. Of a recording its
    peak counts throughout, and so do the clients of a fault.
    """
    plans = [(one.plan.arrivals, max(1, one.plan.turns)) for one in members]
    drawn = [(one, turns) for one, turns in plans if isinstance(one, OpenArrivals) and one.trace is None]
    traced = sum(
        peak_per_s(one) * turns
        for one, turns in plans
        if isinstance(one, OpenArrivals) and one.trace is not None
    )
    corners = sorted({at for one, _ in drawn for part in one.segments for at in (part.start_s, part.end_s)})
    sums = (
        sum(_rate(one, at, after=after) * turns for one, turns in drawn)
        for at in corners
        for after in (True, False)
    )
    return traced + sum(one.plan.clients_per_s for one in members) + max(sums, default=0.0)


def _rate(arrivals: OpenArrivals, at_s: float, *, after: bool) -> float:
    """The planned rate just after, or just before, a moment."""
    for one in arrivals.segments:
        inside = one.start_s <= at_s < one.end_s if after else one.start_s < at_s <= one.end_s
        if inside:
            part = (at_s - one.start_s) / (one.end_s - one.start_s)
            return one.from_per_s + part * (one.to_per_s - one.from_per_s)
    return 0.0


def _shared_out(members: Sequence[_Member], free_per_s: float) -> dict[str, float]:
    """What each may send: its schedule's peak, some slack for chance, and its part of what is free."""
    planned = sum(one.planned_per_s for one in members)
    growing = [one for one in members if one.extra_per_s]
    if not growing:
        weights = {one.plan.key: one.planned_per_s / planned if planned else 1.0 for one in members}
        return {one.plan.key: one.planned_per_s + free_per_s * weights[one.plan.key] for one in members}
    spare = {one.plan.key: one.planned_per_s * (SLACK - 1) for one in members if not one.extra_per_s}
    fits = min(1.0, free_per_s / 2 / sum(spare.values())) if any(spare.values()) else 0.0
    slack = {key: per_s * fits for key, per_s in spare.items()}
    each = (free_per_s - sum(slack.values())) / len(growing)
    return {one.plan.key: one.planned_per_s + slack.get(one.plan.key, each) for one in members}
