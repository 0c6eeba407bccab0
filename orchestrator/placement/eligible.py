"""Which workers may run an activity, and what the others lack, in plain words: pure."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Final

from orchestrator.plan import ActivityPlan, Where
from orchestrator.slo.words import count
from workers.contract.addresses import apart, is_loopback, plain_host
from workers.contract.facts import WorkerCard

NOBODY: Mapping[str, tuple[str, ...]] = MappingProxyType({})
"""Worker -> ids of the campaigns that hold slots of it, where none does."""
UNRESOLVED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
"""Names of hosts -> their addresses, where nobody has looked."""
MOST_NAMED = 4
"""Workers or campaigns that one message names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a fleet asks of every worker beside an activity's `where`; None and False ask nothing.

    `version`: the coordinator's own. `key`: id of the key that it signs tasks with, "" where it has none.
    `apart`: no load runs on the host of its target. `sized`: no shard goes to a slot that is too small for
    it, as the host was calibrated. `leads_to`: names of targets' hosts -> their addresses. `coordinators`:
    their hosts. `spared`: hosts to which nothing of one activity may come, and why (spared.py).
    """

    version: str | None = None
    key: str | None = None
    apart: bool = False
    sized: bool = False
    leads_to: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: UNRESOLVED)
    coordinators: tuple[str, ...] = ()
    spared: Mapping[str, str] = field(default_factory=dict)


ANYTHING_GOES = Rules()


def rules_of(version: str, key: str, *, embedded: bool) -> Rules:
    """What a coordinator asks of workers; that of `run` takes its one machine as it is."""
    return Rules(version, key, apart=not embedded, sized=not embedded)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a fleet stands: what is asked of its workers, and who has their slots.

    `busy`: worker -> its slots that are taken; `held_by`: worker -> ids of the campaigns that took them.
    """

    rules: Rules = ANYTHING_GOES
    busy: Mapping[str, int] = field(default_factory=dict)
    held_by: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """Who has the slots that an activity lacks.

    `free`: worker -> its free slots before this activity was placed. `own`: slots that the phase's activities
    before it were given. `held_by`: worker -> ids of the campaigns that hold slots of it.
    """

    free: Mapping[str, int]
    own: int
    held_by: Mapping[str, Sequence[str]]


def select_for(
    activity: ActivityPlan, fleet: Sequence[WorkerCard], *, seed: int, rules: Rules = ANYTHING_GOES
) -> tuple[WorkerCard, ...]:
    """The workers that may run an activity."""
    loads = _loads(activity)
    return select(activity.where, fleet, seed=seed, activity=activity.key, rules=rules, loads=loads)


def select(
    where: Where,
    fleet: Sequence[WorkerCard],
    *,
    seed: int,
    activity: str,
    rules: Rules = ANYTHING_GOES,
    loads: str = "",
) -> tuple[WorkerCard, ...]:
    """The workers that an activity's `where` means: ordered by name, cut by seed to `at_most` hosts.

    `loads`: HOST:PORT that they would send requests to, "" where that is not known.
    """
    able = (card for card in fleet if not misses(where, card, rules, loads=loads))
    fitting = sorted(able, key=lambda card: card.worker)
    if where.at_most_hosts is None and where.at_most_share is None:
        return tuple(fitting)
    hosts = sorted({card.host for card in fitting})
    most = where.at_most_hosts
    if where.at_most_share is not None:
        most = max(1, math.floor(where.at_most_share * len(hosts)))
    chosen = set(random.Random(f"{seed}/{activity}").sample(hosts, min(most or 1, len(hosts))))
    return tuple(card for card in fitting if card.host in chosen)


def misses(where: Where, card: WorkerCard, rules: Rules = ANYTHING_GOES, *, loads: str = "") -> list[str]:
    """What a worker lacks of `where` and the rules, in plain words; empty where it fits."""
    missing = ["is draining"] if card.draining else []
    missing += ["is halted"] if card.halted else []
    if rules.version is not None and card.version != rules.version:
        missing.append(f"is version {card.version or 'unknown'}, not {rules.version}")
    if rules.key is not None and card.trusts and rules.key not in card.trusts:
        signed = f"tasks signed with key {rules.key}" if rules.key else "tasks that are not signed"
        missing.append(f"does not take {signed}")
    missing += [f"has no label {label}" for label in where.labels if label not in card.labels]
    if where.hosts and card.host not in where.hosts:
        missing.append(f"is on host {card.host}")
    if where.workers and card.worker not in where.workers:
        missing.append(f"is not worker {' or '.join(where.workers)}, where the proxies of its faults stand")
    if card.host in rules.spared:
        missing.append(rules.spared[card.host])
    if where.gpus and gpu_count(card) < where.gpus:
        missing.append(f"has {gpu_count(card)} of {count(where.gpus, 'GPU')}{_why_no_more(card)}")
    if rules.apart and loads and not _named(where) and _is_on_host_of(loads, card, rules):
        missing.append(
            f"is on the host of its target {loads}, which would share its cores with the load: name it by "
            "`where: {host: ...}` or a label if that is meant"
        )
    return missing


def _loads(activity: ActivityPlan) -> str:
    return activity.address if activity.needs_engine else ""


def _named(where: Where) -> bool:
    """Whether whoever wrote it chose its workers by host or label, and knows where they are."""
    return bool(where.hosts or where.labels)


def _is_on_host_of(address: str, card: WorkerCard, rules: Rules) -> bool:
    """Whether a target, unless it is on loopback, lives on a worker's host."""
    host, _ = apart(address)
    if is_loopback(host):
        return False
    leads_to = rules.leads_to.get(host, ())
    return host == plain_host(card.host) or not {host, *leads_to}.isdisjoint(card.addresses)


def gpu_count(card: WorkerCard) -> int:
    """How many GPUs `where: {gpus: N}` counts on a worker: one with MIG on counts as its instances."""
    return sum(len(gpu.usable) for gpu in card.gpus)


def nobody_fits(activity: ActivityPlan, fleet: Sequence[WorkerCard], rules: Rules) -> str:
    """Why no worker may run an activity, and who came nearest."""
    need = activity.where.describe()
    if not fleet:
        return f"{activity.key}: no worker is alive (needs {need})"
    wanted = "no worker may run it" if activity.where == Where() else f"no worker with {need}"
    return f"{activity.key}: {wanted}; {_nearest(activity, fleet, rules)}"


def too_few_slots(
    activity: ActivityPlan,
    of: int,
    *,
    selected: Sequence[WorkerCard],
    fleet: Sequence[WorkerCard],
    rules: Rules,
    taken: Taken,
    small: Sequence[str] = (),
) -> str:
    """Why the workers that may run an activity cannot run all `of` shards of it.

    `selected`: those whose slots are large enough; `small`: what is said of those whose slots are not.
    """
    free = {card.worker: max(0, taken.free[card.worker]) for card in selected}
    if not selected:
        return f"{activity.key}: no slot is large enough for one of {count(of, 'shard')}: {_some(small)}"
    have = sum(free.values())
    most = sorted(selected, key=lambda card: (-free[card.worker], card.worker))
    rooms = _some([f"{card.worker}: {free[card.worker]} of {card.slots} free" for card in most])
    need = f"{count(of, 'shard')} need{'' if of > 1 else 's'} {count(of, 'slot')}"
    there = f"{have} {'is' if have == 1 else 'are'} free on {count(len(selected), 'worker')} ({rooms})"
    parts = [f"{activity.key}: {need}, {there}"]
    holders = dict.fromkeys(id_ for card in selected for id_ in taken.held_by.get(card.worker, ()))
    word = "campaign" if len(holders) == 1 else "campaigns"
    parts += [f"busy with {word} {_some(list(holders))}"] if holders else []
    parts += [f"{count(taken.own, 'slot')} went to other activities of the phase"] if taken.own else []
    parts += [f"too small for a shard: {_some(small)}"] if small else []
    unfit = [card for card in fleet if misses(activity.where, card, rules, loads=_loads(activity))]
    cut = len(fleet) - len(unfit) - len(selected) - len(small)
    parts += [f"at_most leaves {count(cut, 'worker')} out"] if cut else []
    if unfit:
        parts.append(f"{count(len(unfit), 'more worker')} may not: {_nearest(activity, unfit, rules)}")
    return "; ".join(parts)


def _nearest(activity: ActivityPlan, fleet: Sequence[WorkerCard], rules: Rules) -> str:
    """The worker that lacks least, and what."""
    where, loads = activity.where, _loads(activity)

    def distance(card: WorkerCard) -> tuple[int, int, str]:
        lacks = len(misses(where, card, rules, loads=loads))
        return lacks, max(0, where.gpus - gpu_count(card)), card.worker

    card = min(fleet, key=distance)
    return f"nearest is {card.worker}, which {', '.join(misses(where, card, rules, loads=loads))}"


def _why_no_more(card: WorkerCard) -> str:
    """What the driver says, and GPUs whose MIG has no instances."""
    says = [f"driver {card.driver}" if card.driver[:1].isdigit() else card.driver] if card.driver else []
    empty = sum(1 for gpu in card.gpus if not gpu.usable)
    says += [f"MIG is on without instances on {count(empty, 'GPU')}"] if empty else []
    return f" ({'; '.join(says)})" if says else ""


def _some(words: Sequence[str]) -> str:
    rest = len(words) - MOST_NAMED
    return ", ".join(islice(words, MOST_NAMED)) + (f" and {rest} more" if rest > 0 else "")
