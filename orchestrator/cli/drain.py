"""`shakeout drain`: one worker hands over what it runs, takes nothing new, and ends by itself."""

import sys
import time
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from orchestrator.cli.confirming import CONFIRMED_WITHIN_S, EXIT_UNCONFIRMED, POLL_S, wait
from orchestrator.cli.connection import Broker, keys_for, open_store, reaching, user
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.options import Json, Why
from orchestrator.cli.tables import show_json, span
from orchestrator.overview.read import read_workers
from orchestrator.slo.words import count
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.broker.names import CARD_S
from workers.contract.signed.drains import DrainAsked, encode_drain, sign_drain
from workers.contract.signed.signing import Keys

WAITED_FOR_S: Final = 1800.0
"""With `--wait`: the longest timeout of a target that anybody would set, and the hand-over before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTold:
    """The keys of `drain --json`. `state`: draining, gone, or asked where it has not answered in time."""

    worker: str
    host: str
    pid: int
    state: str
    by: str
    why: str
    at_s: float


def drain(
    worker: Annotated[
        str, typer.Argument(metavar="WORKER", help="Its name, as `shakeout workers` shows it.")
    ],
    why: Why = "",
    wait_: Annotated[
        bool, typer.Option("--wait", help="Return once it has ended, not once it begins to drain.")
    ] = False,
    json_: Json = False,
    broker: Broker = "",
) -> None:
    """Take a worker out of the fleet: loads go on elsewhere without a gap, then its process ends with 0."""
    store, keys = open_store(broker), keys_for(broker)
    with reaching(broker):
        card = _card(store, worker)
        _warn_of_no_room(store, worker)
        asked = DrainAsked(worker, card.incarnation, by=user(), why=why, at_s=store.now_s())
        _ask(store, asked, keys)
        wait(lambda: _state(store, card) != "asked")
        state = _state(store, card)
        if state == "draining" and wait_:
            if not json_:
                print(f"{worker} on {card.host} is draining")
            state = _await_end(store, card)
        card = next((one for one in store.cards() if one.incarnation == card.incarnation), card)
    told = DrainTold(
        worker=worker, host=card.host, pid=card.pid, state=state, by=asked.by, why=why, at_s=asked.at_s
    )
    if json_:
        show_json(told)
    _say(told, waited=wait_, as_json=json_, refused=card)


def _card(store: Store, worker: str) -> f.WorkerCard:
    """The live worker of that name; exit 2 where there is none to drain."""
    now_s = store.now_s()
    cards = {card.worker: card for card in store.cards()}
    card = cards.get(worker)
    alive = [one.worker for one in cards.values() if now_s - one.seen_s < CARD_S]
    here = f"alive: {', '.join(alive)}" if alive else "no worker is alive"
    if card is None:
        fail(f"no worker is called {worker!r}; {here}", EXIT_USAGE)
    if now_s - card.seen_s >= CARD_S:
        fail(f"worker {worker} has been gone for {span(now_s - card.seen_s)}; {here}", EXIT_USAGE)
    if card.draining:
        fail(
            f"worker {worker} drains already; SIGTERM to pid {card.pid} on {card.host}, "
            "twice, ends it at once",
            EXIT_USAGE,
        )
    return card


def _warn_of_no_room(store: Store, worker: str) -> None:
    """Say beforehand that what the worker runs may find no successor: that is a gap."""
    crew = read_workers(store)
    runs = sum(one.used for one in crew if one.worker == worker)
    room = sum(one.free for one in crew if one.worker != worker)
    if runs > room:
        print(
            f"shakeout: {worker} runs {count(runs, 'shard')}, the others have {count(room, 'free slot')}: "
            "what finds no room in time stops, which leaves a gap",
            file=sys.stderr,
        )


def _ask(store: Store, asked: DrainAsked, keys: Keys) -> None:
    """Leave the order where the worker looks, and take those away whose worker is no longer known."""
    client = store.client
    known = {card.worker for card in store.cards()}
    stale = [name for name in client.hkeys(names.DRAIN) if name.decode(errors="replace") not in known]
    if stale:
        client.hdel(names.DRAIN, *stale)
    client.hset(names.DRAIN, asked.worker, encode_drain(sign_drain(asked, keys=keys)))


def _state(store: Store, card: f.WorkerCard) -> str:
    """How far this life of the worker is."""
    now_s = store.now_s()
    found = next((one for one in store.cards() if one.worker == card.worker), None)
    if found is None or found.incarnation != card.incarnation or now_s - found.seen_s >= CARD_S:
        return "gone"
    return "draining" if found.draining else "asked"


def _await_end(store: Store, card: f.WorkerCard) -> str:
    until_s = time.monotonic() + WAITED_FOR_S
    while _state(store, card) == "draining" and time.monotonic() < until_s:
        time.sleep(POLL_S)
    return _state(store, card)


def _say(told: DrainTold, *, waited: bool, as_json: bool, refused: f.WorkerCard) -> None:
    """How it stands, and exit 1 where the worker did not do what was asked."""
    if told.state == "asked":
        why = f" ({refused.refused_why})" if refused.refused_why else ""
        fail(
            f"{told.worker} on {told.host} has not answered within {CONFIRMED_WITHIN_S:.0f} s{why}: "
            "it may not trust the key that this was signed with, or hang; "
            f"SIGTERM to pid {told.pid} there drains it too",
            EXIT_UNCONFIRMED,
        )
    if waited and told.state == "draining":
        fail(
            f"{told.worker} on {told.host} still drains after {span(WAITED_FOR_S)}: look at its log; "
            f"SIGTERM to pid {told.pid} there, twice, ends it at once",
            EXIT_UNCONFIRMED,
        )
    if not as_json:
        words = {
            "gone": "has ended",
            "draining": "is draining: its loads go on elsewhere, then it ends by itself",
        }
        print(f"{told.worker} on {told.host} {words[told.state]}")
