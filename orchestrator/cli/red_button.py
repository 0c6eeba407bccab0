"""`shakeout halt` and `resume`: the red button, which stops every campaign of a fleet whoever coordinates."""

from dataclasses import dataclass
from typing import NoReturn

from orchestrator.cli.confirming import CONFIRMED_WITHIN_S, EXIT_UNCONFIRMED, wait
from orchestrator.cli.connection import Broker, keys_for, open_store, reaching, user
from orchestrator.cli.exits import fail
from orchestrator.cli.options import Json, Why
from orchestrator.cli.status import halted_words
from orchestrator.cli.tables import show_json
from orchestrator.overview.read import read_halt
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Button, Press, encode_press, sign_press
from workers.contract.signed.signing import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonTold:
    """The keys of `halt --json` and `resume --json`. `waiting`: workers that do not obey yet."""

    halted: bool
    by: str
    why: str
    at_s: float
    obeyed: tuple[str, ...]
    waiting: tuple[str, ...]


def halt(why: Why = "", json_: Json = False, broker: Broker = "") -> None:
    """Stop every campaign at once, whoever coordinates: the red button. Nothing starts until `resume`."""
    store, keys = open_store(broker), keys_for(broker)
    with reaching(broker):
        now = read_halt(store, keys)
        if now is not None and not now.doubt:
            press = Press(now.by, now.why, now.at_s)
            if not json_:
                print(f"halted already {halted_words(now, store.now_s())}")
            if _others(store, halted=True):  # they may trust this key, if not that of who pressed first
                _press(store, keys, "halt", why)
        else:
            press = _press(store, keys, "halt", why)
        _await_workers(store, press, halted=True, as_json=json_)


def resume(why: Why = "", json_: Json = False, broker: Broker = "") -> None:
    """End a halt: campaigns may be submitted and workers take shards again. What was stopped stays so."""
    store, keys = open_store(broker), keys_for(broker)
    with reaching(broker):
        press = Press(user(), why, store.now_s())
        if read_halt(store, keys) is not None or _others(store, halted=False):
            press = _press(store, keys, "resume", why)
        elif not json_:
            print("nothing is halted")
            return
        _await_workers(store, press, halted=False, as_json=json_)


def _press(store: Store, keys: Keys, button: Button, why: str) -> Press:
    press = sign_press(Press(user(), why, store.now_s()), purpose=button, keys=keys)
    store.client.hset(names.HALT, button, encode_press(press))
    return press


def _others(store: Store, *, halted: bool) -> list[f.WorkerCard]:
    """Live workers that say that it is not so."""
    return [card for card in store.fleet(store.now_s()) if card.halted is not halted]


def _await_workers(store: Store, press: Press, *, halted: bool, as_json: bool) -> None:
    """Wait until every live worker says that it obeys; name those that do not, and exit 1."""
    wait(lambda: not _others(store, halted=halted))
    alive = store.fleet(store.now_s())
    left = [card for card in alive if card.halted is not halted]
    obeyed = tuple(card.worker for card in alive if card.halted is halted)
    told = ButtonTold(
        halted=halted,
        by=press.by,
        why=press.why,
        at_s=press.at_s,
        obeyed=obeyed,
        waiting=tuple(card.worker for card in left),
    )
    word = "halted" if halted else "ready again"
    if as_json:
        show_json(told)
    else:
        print(f"{word}: {', '.join(obeyed) if obeyed else 'no worker is alive' if not alive else 'none yet'}")
    if left:
        _say_late(left, halted=halted)


def _say_late(cards: list[f.WorkerCard], *, halted: bool) -> NoReturn:
    """Which workers do not obey, and what is known of why; exit 1."""
    lines = [
        f"{one.worker} on {one.host}" + (f" ({one.refused_why})" if one.refused_why else "") for one in cards
    ]
    what = "halt" if halted else "resume"
    hint = "stop it there: `kill` ends its engines and reverts its faults" if halted else "look at its log"
    fail(
        f"no {what} after {CONFIRMED_WITHIN_S:.0f} s on {'; '.join(lines)}: it may not trust the "
        f"key that this was signed with, or hang; {hint}",
        EXIT_UNCONFIRMED,
    )
