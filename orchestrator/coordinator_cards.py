"""Which coordinators there are: each shows a card, for people; nothing is decided by it."""

import os
import socket
from dataclasses import dataclass
from importlib import metadata

import msgspec

from orchestrator.store import Store
from workers.contract import names
from workers.contract.broker import masked

VERSION = metadata.version("shakeout")
"""Read once: an upgrade in place changes what is installed, not what this process runs."""
FORGOTTEN_AFTER_S = 3600.0
"""A coordinator that was killed leaves its card behind; the others take it away after so long."""


class CoordinatorCard(msgspec.Struct, frozen=True, kw_only=True):
    """One coordinator. `runs`: where it keeps results. `key`: id of the key it signs tasks with, "" for none.

    `epoch`: of its lead, and `since_s`: when that began; 0 while it stands by. `seen_s`: when it said this.
    Times are common time.
    """

    host: str
    pid: int
    version: str
    runs: str
    key: str = ""
    epoch: int = 0
    since_s: float = 0.0
    seen_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinators:
    """Who leads, and who stands by.

    `epoch`: of the lead; 0: nobody leads. `leader` is None where nobody leads or it showed no card.
    """

    epoch: int
    leader: CoordinatorCard | None
    standbys: tuple[CoordinatorCard, ...]


def show_card(store: Store, *, runs: str, key: str = "") -> None:
    """Say that this coordinator is here, leading or standing by."""
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
    )
    store.client.hset(names.COORDINATORS, store.nonce, msgspec.json.encode(card))
    dead = [nonce for nonce, other in cards.items() if now_s - other.seen_s > FORGOTTEN_AFTER_S]
    if dead:
        store.client.hdel(names.COORDINATORS, *dead)


def take_card_back(store: Store) -> None:
    """This coordinator ends."""
    store.client.hdel(names.COORDINATORS, store.nonce)


def coordinators(store: Store, now_s: float) -> Coordinators:
    """Who leads now, and who stands by."""
    lead = store.client.hgetall(names.LEADER)
    nonce = lead.get(b"nonce", b"").decode()
    cards = _cards(store)
    standbys = [
        card
        for name, card in cards.items()
        if name != nonce and not card.epoch and now_s - card.seen_s < names.CARD_S
    ]
    return Coordinators(
        epoch=int(lead.get(b"epoch", 0)),
        leader=cards.get(nonce),
        standbys=tuple(sorted(standbys, key=lambda card: (card.host, card.pid))),
    )


def _cards(store: Store) -> dict[str, CoordinatorCard]:
    found: dict[str, CoordinatorCard] = {}
    for nonce, body in store.client.hgetall(names.COORDINATORS).items():
        try:
            found[nonce.decode()] = msgspec.json.decode(body, type=CoordinatorCard)
        except msgspec.DecodeError:
            continue  # of a version that says something else
    return found
