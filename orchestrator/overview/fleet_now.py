"""A live fleet as placement sees it: its workers, what is asked of them, and who has their slots."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata

from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.models import Campaign
from orchestrator.coordinator.cards import coordinators
from orchestrator.coordinator.resolving import Resolver
from orchestrator.errors import CampaignFileError
from orchestrator.overview.read import read_facts
from orchestrator.overview.summary import Summary, summarise
from orchestrator.placement.ceilings import NOTHING_KNOWN, Ground, holdings, hosts_of
from orchestrator.placement.eligible import Rules, Standing, rules_of
from orchestrator.placement.queue import Contender
from orchestrator.plan import Plan, plan_of
from orchestrator.store.store import Store
from workers.contract.facts import WorkerCard


@dataclass(frozen=True, slots=True)
class FleetNow:
    """`cards`: of live workers, by name. `leads`: whether a coordinator does.

    Where none does, the rules are those that one of this version would have. `live`: campaigns that have not
    ended, and `ground`: what their targets and ours are held against.
    """

    cards: tuple[WorkerCard, ...]
    standing: Standing
    leads: bool
    live: tuple[Contender, ...] = ()
    ground: Ground = NOTHING_KNOWN


def fleet_now(store: Store, beside: Campaign) -> FleetNow:
    """Look at the fleet once, for a campaign that is to run beside what is there.

    Raises redis.RedisError where Redis does not answer.
    """
    now_s = store.now_s()
    found = coordinators(store, now_s)
    leader = found.leader
    summaries = [summarise(id_, read_facts(store, id_)) for id_ in store.campaigns()]
    planned = {one.id: _planned(one) for one in summaries}
    busy: Counter[str] = Counter()
    held_by: dict[str, list[str]] = {}
    for one in summaries:
        held = _slots_held(one, planned[one.id])
        busy.update(held)
        for worker in held:
            held_by.setdefault(worker, []).append(one.id)
    ours = [beside, *(known[0] for known in planned.values() if known is not None)]
    resolved = Resolver().addresses(host for one in ours for host in hosts_of(one, NOTHING_KNOWN))
    ground = Ground(limits=leader.target_limits if leader is not None else {}, leads_to=resolved)
    if leader is None:
        rules = Rules(metadata.version("shakeout"), apart=True, sized=True, leads_to=resolved)
    else:
        rules = replace(rules_of(leader.version, leader.key, embedded=not leader.apart), leads_to=resolved)
    hosts = [card.host for card in (leader, *found.standbys) if card is not None]
    rules = replace(rules, coordinators=tuple(dict.fromkeys(hosts)))
    live = [_contender(one, known, ground) for one in summaries if (known := planned[one.id]) is not None]
    standing = Standing(rules, busy, held_by)
    return FleetNow(store.fleet(now_s), standing, leader is not None, tuple(filter(None, live)), ground)


def _planned(summary: Summary) -> tuple[Campaign, Plan] | None:
    """A live campaign's file, and its plan; None where it cannot be read."""
    said = summary.state.submitted
    if said is None:
        return None
    try:
        campaign = load_campaign_text(said.text, base=None, sets=said.sets).campaign
    except CampaignFileError:
        return None
    return campaign, plan_of(campaign, seed=said.seed, traces=said.traces)


def _slots_held(summary: Summary, known: tuple[Campaign, Plan] | None) -> Mapping[str, int]:
    """Engine slots that a live campaign holds, by worker; one that cannot be read holds all it was given."""
    if known is None:
        return summary.held()
    activities = (one for phase in known[1].phases for one in phase.activities)
    return summary.held(without=(one.key for one in activities if not one.needs_engine))


def _contender(summary: Summary, known: tuple[Campaign, Plan], ground: Ground) -> Contender | None:
    """A live campaign as the queue sees it; None for one that has ended."""
    (campaign, plan), state = known, summary.state
    if state.submitted is None or state.ended is not None:
        return None
    begun = {name for name, phase in state.phases.items() if phase.over or phase.start_s is not None}
    return Contender(
        id=summary.id,
        by=summary.submitted_by,
        seed=plan.seed,
        priority=campaign.priority,
        submitted_s=summary.submitted_s,
        begun=bool(state.phases) or state.aborting is not None,
        shares=campaign.share_target,
        holdings=holdings(campaign, plan, replace(ground, urls=state.submitted.urls)),
        ahead=tuple(phase for phase in plan.phases if phase.name not in begun),
        held=_slots_held(summary, known),
    )
