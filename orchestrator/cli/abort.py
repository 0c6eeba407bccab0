"""`shakeout abort`: a person stops one campaign, and is told what came of it."""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.campaign.load import load_campaign_text
from orchestrator.cli.confirming import CONFIRMED_WITHIN_S, EXIT_UNCONFIRMED, wait
from orchestrator.cli.connection import Broker, keys_for, reaching, user
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.here import reached
from orchestrator.cli.options import Json, Why
from orchestrator.cli.tables import show_json
from orchestrator.cli.which import which
from orchestrator.errors import ShakeoutError
from orchestrator.facts import State
from orchestrator.overview.read import summary_of
from orchestrator.slo.words import seconds
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.signed.signing import read_keys
from workers.contract.signed.trust import sign_fact


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortTold:
    """The keys of `abort --json`. `state`: stopping, over, refused, or asked where no leader has answered."""

    campaign: str
    state: str
    verdict: str = ""
    by: str = ""
    why: str = ""


def abort(
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID|DIR]", help="May be left out where one campaign runs.")
    ] = None,
    why: Why = "",
    json_: Json = False,
    broker: Broker = "",
) -> None:
    """Stop a campaign: no more requests, faults reverted, report written; who waits for it exits with 5."""
    store, asked_for, here = reached(id_, broker)
    keys = read_keys(here.key) if here is not None else keys_for(broker)
    with reaching(here.broker if here is not None else broker):
        target = which(store, asked_for, command="abort")
        state = _state(store, target)
        if state.ended is None and state.aborting is None:
            now_s = store.now_s()
            asked = f.AbortAsked(by=user(), why=why, at_s=now_s)
            signed = sign_fact(asked, campaign=target, keys=keys, now_s=now_s)
            before = len(state.refusals)
            store.say(target, id_=f"abort:{secrets.token_hex(8)}", fact=signed)
            state = _answer(store, target, before)
            told = _told(target, state, refused=state.refusals[before:])
        else:
            told = _told(target, state, refused=())
        leads = store.is_led()
    if json_:
        show_json(told)
    _say_abort(told, state, leads=leads, as_json=json_)


def _state(store: Store, id_: str) -> State:
    return summary_of(store, id_).state


def _answer(store: Store, id_: str, refused_before: int) -> State:
    """The campaign once its leader has answered, or as it is when the time is over."""
    state = _state(store, id_)

    def answered() -> bool:
        nonlocal state
        state = _state(store, id_)
        refused = any(isinstance(one, f.Refused) for one in state.refusals[refused_before:])
        return state.aborting is not None or state.ended is not None or refused

    wait(answered)
    return state


def _told(id_: str, state: State, *, refused: tuple[f.Refused | f.TaskRefused, ...]) -> AbortTold:
    if state.ended is not None:
        return AbortTold(
            campaign=id_,
            state="over",
            verdict=state.ended.verdict,
            by=state.aborting.by if state.aborting is not None else "",
            why="; ".join(state.ended.reasons),
        )
    if state.aborting is not None:
        return AbortTold(campaign=id_, state="stopping", by=state.aborting.by, why=state.aborting.why)
    for one in refused:
        if isinstance(one, f.Refused) and one.what == "abort" and one.by == user():
            return AbortTold(campaign=id_, state="refused", by=one.by, why=one.why)
    return AbortTold(campaign=id_, state="asked", by=user())


def _say_abort(told: AbortTold, state: State, *, leads: bool, as_json: bool) -> None:
    lines = {
        "stopping": f"{told.campaign} is stopping: {told.why or told.by}",
        "over": f"{told.campaign} is over: {told.verdict}" + (f" ({told.why})" if told.why else ""),
    }
    if told.state in lines:
        if not as_json:
            print(lines[told.state])
        return
    if told.state == "refused":
        fail(f"the coordinator refused the abort of {told.campaign}: {told.why}", EXIT_USAGE)
    if leads:
        why = f"the coordinator has not answered within {CONFIRMED_WITHIN_S:.0f} s; the order stands"
    else:
        why = (
            "no coordinator leads: the abort takes effect when one does, and its engines fall silent by "
            f"themselves within {_silent_within(state)}; `shakeout halt` stops all workers at once"
        )
    fail(f"{told.campaign}: abort asked for, but {why}", EXIT_UNCONFIRMED)


def _silent_within(state: State) -> str:
    """The campaign's own `on_lost_coordinator`, in words."""
    said = state.submitted
    with suppress(ShakeoutError):
        if said is not None:
            loaded = load_campaign_text(said.text, base=None, sets=said.sets)
            return seconds(loaded.campaign.on_lost_coordinator)
    return "its on_lost_coordinator"
