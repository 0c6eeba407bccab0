"""Where the proxies of faults stand: chosen once, at the campaign's first phase, and asked for until they do.

A proxy passes everything through from then to the campaign's end, so the worker that does its faults in a
later phase has to be the one that it stands on. Pure.
"""

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.decide.actions import Say, Tell
from orchestrator.decide.seen import Seen
from orchestrator.facts import State
from orchestrator.placement.eligible import nobody_fits, select
from orchestrator.placement.spared import sparing
from orchestrator.plan import ActivityPlan, PhasePlan, Plan, Where
from workers.contract import control
from workers.contract import facts as f
from workers.contract.facts import WorkerCard
from workers.contract.proxies import ProxyShown, ProxyWant

SAY_AGAIN_S = 5.0
"""An order that a dying worker, or Redis, has lost is given again."""


def stationing(state: State, plan: Plan, seen: Seen, now_s: float) -> Iterator[Say]:
    """Say on which workers the proxies of each activity stand, where that is not decided yet."""
    for activity in _of_proxies(plan):
        if activity.key not in state.stations and (workers := _chosen(activity, plan, seen)):
            fact = f.Stationed(activity=activity.key, workers=workers, at_s=now_s)
            yield Say(f"{activity.key}:stationed", fact)


def are_stationed(state: State, plan: Plan) -> bool:
    """Whether it is decided where each proxy stands."""
    return all(activity.key in state.stations for activity in _of_proxies(plan))


def proxy_orders(state: State, plan: Plan, seen: Seen, now_s: float) -> Iterator[Tell]:
    """Ask every worker for the proxies that its card does not show."""
    wanted = _by_worker(state, plan)
    for card in seen.fleet:
        wants = wanted.get(card.worker, ())
        if state.submitted is not None and not all(_shown(want, card, state) for want in wants):
            yield Tell(
                card.worker,
                control.Stand(
                    campaign=state.submitted.campaign,
                    incarnation=card.incarnation,
                    proxies=wants,
                    number=int(now_s / SAY_AGAIN_S),
                ),
            )


def missing_proxies(state: State, plan: Plan, phase: PhasePlan, seen: Seen) -> list[str]:
    """Which proxies of this phase, or of one to come, do not stand, and why, in plain words."""
    found = list(_unchosen(state, plan, seen))
    cards = {card.worker: card for card in seen.fleet}
    for activity in _still_needed(plan, phase):
        for worker in state.stations.get(activity.key, ()):
            for want in activity.proxies:
                if why := _trouble(want, cards.get(worker), state):
                    found.append(f"{activity.key}: {want.words()} on worker {worker}: {why}")
    return found


def refused_proxy(state: State, plan: Plan, phase: PhasePlan, seen: Seen) -> str:
    """Why a proxy will never stand as things are; empty where each may."""
    cards = {card.worker: card for card in seen.fleet}
    for activity in _still_needed(plan, phase):
        for worker in state.stations.get(activity.key, ()):
            for want in activity.proxies:
                shown = _shown(want, cards[worker], state) if worker in cards else None
                if shown is not None and shown.refused:
                    return f"{activity.key}: {want.words()} on worker {worker}: {shown.why}"
    return ""


def at_stations(state: State, phase: PhasePlan) -> PhasePlan:
    """The phase with each activity of proxies bound to the workers that they stand on."""
    if not any(activity.proxies for activity in phase.activities):
        return phase
    return replace(phase, activities=tuple(_bound(one, state) for one in phase.activities))


def _bound(activity: ActivityPlan, state: State) -> ActivityPlan:
    workers = state.stations.get(activity.key, ())
    if not workers:
        return activity
    return replace(activity, where=Where(without=activity.where.without, workers=workers))


def _of_proxies(plan: Plan) -> Iterator[ActivityPlan]:
    return (one for phase in plan.phases for one in phase.activities if one.proxies)


def _still_needed(plan: Plan, phase: PhasePlan) -> Iterator[ActivityPlan]:
    names = [one.name for one in plan.phases]
    rest = plan.phases[names.index(phase.name) :]
    return (one for later in rest for one in later.activities if one.proxies)


def _chosen(activity: ActivityPlan, plan: Plan, seen: Seen) -> tuple[str, ...]:
    """One worker of each host that its `where` means; the same for every activity that says the same."""
    rules = sparing(activity, seen.fleet, seen.rules)
    able = select(activity.where, seen.fleet, seed=plan.seed, activity="proxies", rules=rules)
    by_host: dict[str, str] = {}
    for card in able:
        by_host.setdefault(card.host, card.worker)
    return tuple(sorted(by_host.values()))


def _unchosen(state: State, plan: Plan, seen: Seen) -> Iterator[str]:
    for activity in _of_proxies(plan):
        if activity.key not in state.stations:
            yield nobody_fits(activity, seen.fleet, sparing(activity, seen.fleet, seen.rules))


def _by_worker(state: State, plan: Plan) -> dict[str, tuple[ProxyWant, ...]]:
    found: dict[str, tuple[ProxyWant, ...]] = {}
    for activity in _of_proxies(plan):
        for worker in state.stations.get(activity.key, ()):
            found[worker] = tuple(dict.fromkeys((*found.get(worker, ()), *activity.proxies)))
    return {worker: _merged(wants) for worker, wants in found.items()}


def _merged(wants: tuple[ProxyWant, ...]) -> tuple[ProxyWant, ...]:
    """One for each port: what is to be remembered there is asked for if anybody needs it."""
    by_port: dict[int, ProxyWant] = {}
    for want in wants:
        before = by_port.get(want.port)
        by_port[want.port] = before if before is not None and before.speaks else want
    return tuple(by_port.values())


def _shown(want: ProxyWant, card: WorkerCard, state: State) -> ProxyShown | None:
    """What the card says of it; one that stands as long as its worker does as well as our own."""
    campaign = state.submitted.campaign if state.submitted is not None else ""
    for one in card.proxies:
        if one.port == want.port and one.campaign in ("", campaign) and one.upstream == want.upstream:
            speaks = not want.speaks or one.speaks == want.speaks
            return one if speaks else None
    return None


def _trouble(want: ProxyWant, card: WorkerCard | None, state: State) -> str:
    if card is None:
        return "that worker is not there"
    shown = _shown(want, card, state)
    if shown is not None:
        return shown.why
    other = next((one for one in card.proxies if one.port == want.port), None)
    if other is None:
        return "it does not stand yet"
    whose = f"campaign {other.campaign}" if other.campaign else "the worker itself"
    return f"the port is in use for {whose}, with a proxy to {other.upstream}"
