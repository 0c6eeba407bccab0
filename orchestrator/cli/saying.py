"""What people say of a running campaign: which one they mean, their signature, and the leader's answer."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.cli.confirming import CONFIRMED_WITHIN_S, EXIT_UNCONFIRMED, POLL_S
from orchestrator.cli.connection import keys_for, reaching
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.here import reached
from orchestrator.cli.which import which
from orchestrator.overview.read import read_live, whereabouts
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.signed.signing import Keys, read_keys
from workers.contract.signed.trust import sign_fact

_Said = TypeVar("_Said", bound=f.Word)


@dataclass(frozen=True, slots=True)
class Meant:
    """A live campaign, the Redis that holds it, and what its words are signed with."""

    id: str
    store: Store
    keys: Keys
    broker: str


def meant(id_: str, broker: str, *, command: str) -> Meant:
    """The live campaign of an id, or of the folder of a `shakeout run` that goes on; exit 2 where none is."""
    store, _, here = reached(id_, broker)
    if here is not None:
        return Meant(here.campaign, store, read_keys(here.key), here.broker)
    keys = keys_for(broker)
    with reaching(broker):
        found = which(store, id_, command=command)
        if whereabouts(store, found) != "live":
            told = f"{found} has ended, and nothing that is said now counts"
            fail(f"{told}; `shakeout status {found}` says how", EXIT_USAGE)
    return Meant(found, store, keys, broker)


def say(to: Meant, make: Callable[[float], _Said]) -> str:
    """Sign and say what `make` makes of the common time; "" once the leader believes it, else why not.

    Exit 1 where no leader has answered in time: what was said stands, and counts once one does.
    """
    answer = None
    with reaching(to.broker):
        now_s = to.store.now_s()
        said = sign_fact(make(now_s), campaign=to.id, keys=to.keys, now_s=now_s)
        before = to.store.journal_end(to.id)
        kind = str(said.__struct_config__.tag)
        to.store.say(to.id, id_=f"{kind}:{secrets.token_hex(8)}", fact=said)
        over = time.monotonic() + CONFIRMED_WITHIN_S
        while answer is None and time.monotonic() < over:
            time.sleep(POLL_S)
            answer = _answer(to, said, after=before)
        leads = to.store.is_led()
    if answer is None:
        who = "the coordinator has not" if leads else "no coordinator leads that could have"
        why = f"{to.id}: said, but {who} answered within {CONFIRMED_WITHIN_S:.0f} s; it stands"
        fail(why, EXIT_UNCONFIRMED)
    return answer


def _answer(to: Meant, said: f.Word, *, after: str) -> str | None:
    """Why the leader refused it, "" where it has read it and did not; None while it has not."""
    came = ""
    for entry in to.store.journal(to.id, after=after):
        if entry.fact == said:
            came = entry.id
        elif came and isinstance(entry.fact, f.Refused) and entry.fact.at_s == _moment(came):
            return entry.fact.why
        elif came and isinstance(entry.fact, f.Ended):
            return ""
    view = read_live(to.store, to.id)
    # a picture of a later moment was made after the journal was read up to here
    return "" if came and view is not None and view.at_s > _moment(came) + POLL_S else None


def _moment(entry: str) -> float:
    return float(entry.split("-", maxsplit=1)[0]) / 1000
