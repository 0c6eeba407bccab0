"""A live fleet as placement sees it: its workers, what is asked of them, and who has their slots."""

from collections import Counter
from dataclasses import dataclass
from importlib import metadata

from orchestrator.campaign.load import load_campaign_text
from orchestrator.coordinator_cards import coordinators
from orchestrator.eligible import Rules, Standing
from orchestrator.errors import CampaignFileError
from orchestrator.overview.read import read_facts
from orchestrator.overview.summary import Summary, summarise
from orchestrator.plan import plan_of
from orchestrator.store import Store
from workers.contract.facts import WorkerCard


@dataclass(frozen=True, slots=True)
class FleetNow:
    """`cards`: of live workers, by name. `leads`: whether a coordinator does.

    Where none does, the rules are those that one of this version would have.
    """

    cards: tuple[WorkerCard, ...]
    standing: Standing
    leads: bool


def fleet_now(store: Store) -> FleetNow:
    """Look at the fleet once. Raises redis.RedisError where Redis does not answer."""
    now_s = store.now_s()
    leader = coordinators(store, now_s).leader
    busy: Counter[str] = Counter()
    held_by: dict[str, list[str]] = {}
    for id_ in store.campaigns():
        held = slots_held(summarise(id_, read_facts(store, id_)))
        busy.update(held)
        for worker in held:
            held_by.setdefault(worker, []).append(id_)
    rules = Rules(metadata.version("shakeout")) if leader is None else Rules(leader.version, leader.key)
    return FleetNow(store.fleet(now_s), Standing(rules, busy, held_by), leads=leader is not None)


def slots_held(summary: Summary) -> Counter[str]:
    """Engine slots that a live campaign holds, by worker; one that cannot be read holds all it was given."""
    said = summary.state.submitted
    if said is None:
        return summary.held()
    try:
        campaign = load_campaign_text(said.text, base=None, sets=said.sets).campaign
        plan = plan_of(campaign, seed=said.seed, traces=said.traces)
    except CampaignFileError:
        return summary.held()
    activities = (one for phase in plan.phases for one in phase.activities)
    return summary.held(without=(one.key for one in activities if not one.needs_engine))
