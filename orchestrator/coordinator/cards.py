"""Which coordinators there are: each shows a card, for people; nothing is decided by it."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata

import msgspec
import redis

from orchestrator.placement.ceilings import NO_LIMITS
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.broker.connection import masked
from workers.contract.decoding import guarded

VERSION = metadata.version("shakeout")
"""Read once: an upgrade in place changes what is installed, not what this process runs."""
FORGOTTEN_AFTER_S = 3600.0
"""A coordinator that was killed leaves its card behind; the others take it away after so long."""


class CoordinatorCard(msgspec.Struct, frozen=True, kw_only=True):
    """One coordinator. `runs`: where it keeps results. `key`: id of the key it signs tasks with, "" for none.

    `epoch`: of its lead, and `since_s`: when that began; 0 while it stands by. `seen_s`: when it said this.
    Times are common time. `target_limits`: HOST:PORT -> requests per second that its operator allows there.
    `apart`: it keeps load off the hosts of targets, and shards off slots that are too small for them.
    `results_kept_s`: how long Redis keeps what ended.
    """

    host: str
    pid: int
    version: str
    runs: str
    key: str = ""
    epoch: int = 0
    since_s: float = 0.0
    seen_s: float = 0.0
    target_limits: dict[str, float] = {}
    apart: bool = True
    results_kept_s: float = names.RESULTS_KEPT_S


_decode = guarded(msgspec.json.Decoder(CoordinatorCard).decode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinators:
    """Who leads, and who stands by.

    `epoch`: of the lead; 0: nobody leads. `leader` is None where nobody leads or it showed no card.
    """

    epoch: int
    leader: CoordinatorCard | None
    standbys: tuple[CoordinatorCard, ...]


def show_card(
    store: Store,
    *,
    runs: str,
    key: str = "",
    target_limits: Mapping[str, float] = NO_LIMITS,
    apart: bool = True,
) -> tuple[str, ...]:
    """Say that this coordinator is here, leading or standing by; return the hosts of all that are."""
    now_s = store.now_s()
    cards = _cards(store)
    before = cards.get(store.nonce)
    since_s = now_s if store.epoch else 0.0
    if before is not None and before.epoch == store.epoch:
        since_s = before.since_s
    card = CoordinatorCard(
        host=socket.gethostname(),
        pid=os.getpid(),
        version=VERSION,
        runs=masked(runs),
        key=key,
        epoch=store.epoch,
        since_s=since_s,
        seen_s=now_s,
        target_limits=dict(target_limits),
        apart=apart,
        results_kept_s=store.results_kept_s,
    )
    with suppress(redis.OutOfMemoryError):  # people miss it for as long; what matters needs no room
        store.client.hset(names.COORDINATORS, store.nonce, msgspec.json.encode(card))
    dead = [nonce for nonce, other in cards.items() if now_s - other.seen_s > FORGOTTEN_AFTER_S]
    if dead:
        store.client.hdel(names.COORDINATORS, *dead)
    near = {other.host for other in cards.values() if now_s - other.seen_s < names.CARD_S}
    return tuple(sorted({*near, card.host}))


def take_card_back(store: Store) -> None:
    """This coordinator ends."""
    store.client.hdel(names.COORDINATORS, store.nonce)


def coordinators(store: Store, now_s: float) -> Coordinators:
    """Who leads now, and who stands by."""
    lead = store.client.hgetall(names.LEADER)
    nonce, epoch = lead.get(b"nonce", b"").decode(errors="replace"), lead.get(b"epoch", b"0")
    cards = _cards(store)
    standbys = [
        card
        for name, card in cards.items()
        if name != nonce and not card.epoch and now_s - card.seen_s < names.CARD_S
    ]
    return Coordinators(
        epoch=int(epoch) if epoch.isdigit() else 0,
        leader=cards.get(nonce),
        standbys=tuple(sorted(standbys, key=lambda card: (card.host, card.pid))),
    )


def results_kept_s(store: Store) -> float:
    """How long Redis keeps what has ended: as the leader says, as usual where nobody leads."""
    leader = coordinators(store, store.now_s()).leader
    return leader.results_kept_s if leader is not None else names.RESULTS_KEPT_S


def kept_for(store: Store) -> str:
    """The same in words."""
    return f"{results_kept_s(store) / 3600:g} h"


def _cards(store: Store) -> dict[str, CoordinatorCard]:
    found: dict[str, CoordinatorCard] = {}
    for nonce, body in store.client.hgetall(names.COORDINATORS).items():
        try:
            found[nonce.decode(errors="replace")] = _decode(body)
        except msgspec.DecodeError:
            continue  # of a version that says something else
    return found
