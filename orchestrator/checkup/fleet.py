"""The fleet's part of a check-up: who leads, what the workers say of themselves, the red button, Flower."""

from collections.abc import Callable, Iterator
from importlib import metadata

import redis

from orchestrator.checkup.card import about, troubles
from orchestrator.checkup.finding import Finding, Level
from orchestrator.coordinator.cards import CoordinatorCard, Coordinators, coordinators
from orchestrator.overview.read import read_halt, read_pruned
from orchestrator.overview.roster import SHOWN_FOR_S
from orchestrator.results.retention import Pruned
from orchestrator.store.store import Store
from workers.contract.addresses import LIMITS_VARIABLE
from workers.contract.broker.names import CARD_S
from workers.contract.broker.notices import Notice, lately
from workers.contract.broker.trouble import what_and_do
from workers.contract.facts import WorkerCard
from workers.contract.signed.signing import Keys

FRESH_S = 120.0
"""A refused worker that its supervisor starts again leaves a notice more often than this."""


def fleet(store: Store, *, url: str, keys: Keys) -> Iterator[Finding]:
    """All of it; what the user may not read is said to be so."""
    now_s = store.now_s()
    leader: CoordinatorCard | None = None

    def leading() -> Iterator[Finding]:
        nonlocal leader
        who = coordinators(store, now_s)
        leader = who.leader
        yield from leads(who)

    parts: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("coordinator", leading),
        ("halt", lambda: _halted(store, keys)),
        ("workers", lambda: crew(store.cards(), leader=leader, now_s=now_s)),
        ("worker version", lambda: _unreadable(store)),
        ("names", lambda: refused_names(lately(store.client, now_s=now_s), now_s=now_s)),
        ("flower", lambda: _flower(store)),
        ("old runs", lambda: old_runs(read_pruned(store))),
    )
    for check, look in parts:
        try:
            yield from look()
        except redis.ResponseError as error:
            what, do = what_and_do(error, url)
            yield _finding(check, "warning", f"could not be asked: {what}", do=do)


def old_runs(pruned: Pruned | None) -> Iterator[Finding]:
    """Whether a leader that should remove old runs does not believe the clock."""
    if pruned is not None and pruned.refused:
        do = "set the clocks right; if they are: shakeout prune --runs URL --sure --yes"
        yield _finding("old runs", "warning", f"none is removed: {pruned.refused}", do=do)


def leads(who: Coordinators) -> Iterator[Finding]:
    """Whether somebody leads, in which version, and who would go on."""
    here = metadata.version("shakeout")
    if not who.epoch:
        do = "start one: shakeout coordinator --runs URL"
        yield _finding("coordinator", "problem", "none leads: no campaign begins or goes on", do=do)
    elif who.leader is None:
        yield _finding("coordinator", "ok", f"one leads, epoch {who.epoch}")
    else:
        card = who.leader
        where = f"{card.host}, pid {card.pid}"
        what = f"version {card.version}, epoch {who.epoch}, runs at {card.runs}"
        if card.version == here:
            yield _finding("coordinator", "ok", what, where=where)
        else:
            do = f"install version {card.version} here, or {here} there"
            yield _finding("coordinator", "warning", f"{what}; this is version {here}", where=where, do=do)
    hosts = ", ".join(f"{card.host}, pid {card.pid}" for card in who.standbys)
    if hosts:
        yield _finding("standby", "ok", f"{len(who.standbys)} standing by", where=hosts)
    for card in who.standbys:
        if who.leader is not None and card.target_limits != who.leader.target_limits:
            what = "its limits of targets are not the leader's: when it leads, others hold"
            do = f"start both with the same --target-limit and {LIMITS_VARIABLE}"
            yield _finding("target limits", "warning", what, where=f"{card.host}, pid {card.pid}", do=do)
    if not hosts and who.epoch:
        yield _finding("standby", "ok", "nobody stands by: when the leader dies it has to be started again")


def crew(cards: tuple[WorkerCard, ...], *, leader: CoordinatorCard | None, now_s: float) -> Iterator[Finding]:
    """What the workers' cards say; those silent for long are not there any more."""
    shown = [card for card in cards if now_s - card.seen_s < SHOWN_FOR_S]
    if not any(now_s - card.seen_s < CARD_S for card in shown):
        do = "start one on each machine: shakeout worker --name NAME --slots 4"
        yield _finding("workers", "problem", "there is none", do=do)
    for card in shown:
        silent_s = now_s - card.seen_s
        if silent_s >= CARD_S:
            what = f"has said nothing for {silent_s:.0f} s"
            yield about(card, "worker", "warning", what, do="start it again")
        else:
            yield from _one(card, leader)


def refused_names(notices: tuple[Notice, ...], *, now_s: float) -> Iterator[Finding]:
    """Workers that were refused because another has their name, each once."""
    newest = {(one.worker, one.host): one for one in notices}
    for one in newest.values():
        ago_s = now_s - one.at_s
        level: Level = "problem" if ago_s < FRESH_S else "warning"
        what = f"a worker was refused {ago_s:.0f} s ago: {one.why}"
        where = f"worker {one.worker}, pid {one.pid} on host {one.host}"
        yield _finding("names", level, what, where=where, do="give one of the two another --name")
    if not newest:
        yield _finding("names", "ok", "no worker was refused lately")


def _one(card: WorkerCard, leader: CoordinatorCard | None) -> Iterator[Finding]:
    has = f"slots: {card.slots}, cores: {card.cores}, GPUs: {len(card.gpus)}"
    driver = f" ({card.driver})" if card.driver else ""
    yield about(card, "worker", "ok", f"{has}{driver}, version {card.version}")
    if card.draining:
        yield about(card, "worker", "warning", "is draining: it takes nothing new")
    yield from troubles(card, leader=leader, version=metadata.version("shakeout"))


def _unreadable(store: Store) -> Iterator[Finding]:
    here = metadata.version("shakeout")
    for name in store.unreadable_cards():
        what = f"its card cannot be read by version {here}: it gets no work, and may be of another version"
        do = f"install version {here} there"
        yield _finding("worker version", "problem", what, where=f"worker {name}", do=do)


def _halted(store: Store, keys: Keys) -> Iterator[Finding]:
    line = read_halt(store, keys)
    if line is None:
        yield _finding("halt", "ok", "not halted")
    else:
        why = f": {line.why}" if line.why else ""
        yield _finding("halt", "warning", f"all is halted by {line.by}{why}", do="shakeout resume")


def _flower(store: Store) -> Iterator[Finding]:
    url = store.flower()
    what = f"runs at {url}" if url else "does not run (shakeout flower); no campaign needs it"
    yield _finding("flower", "ok", what)


def _finding(check: str, level: Level, what: str, *, where: str = "", do: str = "") -> Finding:
    return Finding(area="fleet", check=check, level=level, what=what, where=where, do=do)
