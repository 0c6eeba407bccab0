"""`shakeout submit FILE`: a campaign for a fleet, and with `--wait` its end and its results."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.campaign.load import LoadedCampaign
from orchestrator.cli.confirming import CONFIRMED_WITHIN_S
from orchestrator.cli.connection import Broker, keys_for, open_store, reaching, user
from orchestrator.cli.ended import Wanted
from orchestrator.cli.exits import EXIT_LOST, EXIT_USAGE, fail
from orchestrator.cli.following import POLL_S, insist
from orchestrator.cli.incoming import Asked, asked_of, empty_folder, load
from orchestrator.cli.interrupts import Interrupts
from orchestrator.cli.options import Labels, MaxTime, OnInconclusive, Sets
from orchestrator.cli.watch import follow_to_end
from orchestrator.cli.watching import Screen
from orchestrator.coordinator.cards import coordinators
from orchestrator.errors import ShakeoutError
from orchestrator.overview.read import read_halt, read_live
from orchestrator.placement.ceilings import Ground, refusal
from orchestrator.plan import plan_of
from orchestrator.results.results import samples_unreached
from orchestrator.store.store import AWAY, Store
from orchestrator.submit.submit import submit as send
from workers.contract import facts as f
from workers.contract.broker.trouble import explain
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.signed.halts import Press
from workers.contract.signed.signing import Keys

TURN_WITHIN_S = 3.0
"""A leader shows each campaign twice a second; one that is busy is not waited for."""
SENT_WITHIN_S = 15.0
"""Saying the same submission again is harmless; a failover takes less."""


def submit(
    file: Annotated[Path, typer.Argument(help="The campaign file.", show_default=False, readable=False)],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end; exit by its verdict.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="With --wait: the folder that the results are fetched into.")
    ] = None,
    set_: Sets = None,
    label: Labels = None,
    max_time: MaxTime = "",
    inconclusive: OnInconclusive = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the id, and with --wait the result, as a line of JSON each.")
    ] = False,
    broker: Broker = "",
) -> None:
    """Hand a campaign to a fleet; its id is the first line on stdout."""
    if out is not None and not wait:
        fail("--out needs --wait: results are there when the campaign has ended", EXIT_USAGE)
    if inconclusive is not None and not wait:
        fail("--inconclusive needs --wait: it is about the exit code of a verdict", EXIT_USAGE)
    store = open_store(broker)
    keys = keys_for(broker)
    loaded = load(file, set_ or (), local=False)
    asked = asked_of(loaded, labels=label or (), max_time=max_time)
    interrupts = Interrupts()
    interrupts.install()
    screen = Screen(json_=json_)
    with reaching(broker):
        try:
            _look_first(store, keys, screen)
            _refuse_what_leader_would(store, loaded, asked)
            folder = empty_folder(out) if out is not None else None
            _send(loaded, asked, store=store, keys=keys, broker=broker)
            interrupts.starting = False
        except KeyboardInterrupt:
            fail(f"{interrupts.name}: {asked.id} was not submitted, or not known to be", interrupts.exit_code)
        print(json.dumps({"campaign": asked.id}) if json_ else asked.id, flush=True)
        if loaded.campaign.gameday is not None:
            _hear_of_game_day(store, asked.id)
        if not wait:
            _tell_turn(store, asked.id, screen)
            screen.warn(
                f"follow it with `shakeout watch {asked.id}`, stop it with `shakeout abort {asked.id}`"
            )
            return
        wanted = Wanted(folder, inconclusive, indent=None)
        follow_to_end(store, asked.id, broker=broker, screen=screen, interrupts=interrupts, wanted=wanted)


def _look_first(store: Store, keys: Keys, screen: Screen) -> None:
    """Refuse while the fleet is halted; warn of what will keep the campaign waiting. Raises redis errors."""
    fleet = store.fleet(store.now_s())
    pressed = read_halt(store, keys)
    if pressed is not None:
        if pressed.doubt:
            screen.warn(f"warning: {pressed.doubt}")
        # a colleague's signature cannot be checked with our own key, but workers say whether they believe it
        if not pressed.doubt or any(card.halted for card in fleet):
            said = Press(pressed.by, pressed.why).words()
            fail(f"the fleet is {said}; `shakeout resume` ends that", EXIT_USAGE)
    if not store.is_led():
        screen.warn("warning: no coordinator leads; the campaign waits until one does")
    if not fleet:
        screen.warn("warning: no worker is alive; the campaign waits for some, up to its place_within")


def _refuse_what_leader_would(store: Store, loaded: LoadedCampaign, asked: Asked) -> None:
    """Exit where the leader keeps results in a folder that workers do not reach, or its operator forbids it.

    Raises redis errors.
    """
    leader = coordinators(store, store.now_s()).leader
    if leader is not None:
        campaign = loaded.campaign
        plan = plan_of(campaign, seed=asked.seed)
        why = samples_unreached(plan, leader.runs)
        why = why or refusal(campaign, plan, Ground(limits=leader.target_limits))
        if why:
            fail(why, EXIT_USAGE)


def _hear_of_game_day(store: Store, id_: str) -> None:
    """Exit where the leader refuses it: off its window, in a blackout, or while the last one still goes.

    Nobody is waited for while nobody leads. Raises redis errors.
    """
    until = time.monotonic() + CONFIRMED_WITHIN_S
    while store.is_led() and time.monotonic() < until:
        facts = [entry.fact for entry in store.journal(id_)]
        refused = next((one for one in facts if isinstance(one, f.Refused)), None)
        if refused is not None and refused.what == "submission":
            fail(f"{id_} is refused: {refused.why}", EXIT_USAGE)
        if any(isinstance(one, f.Accepted) for one in facts):
            return
        time.sleep(POLL_S)


def _tell_turn(store: Store, id_: str, screen: Screen) -> None:
    """Where other campaigns live: what this one waits for, once its leader says. Raises redis errors."""
    until = time.monotonic() + TURN_WITHIN_S
    while store.is_led() and len(store.campaigns()) > 1 and time.monotonic() < until:
        view = read_live(store, id_)
        if view is not None:
            for why in view.waits:  # on stderr: stdout holds the id alone
                screen.warn(f"it {why}")
            return
        time.sleep(POLL_S)


def _send(loaded: LoadedCampaign, asked: Asked, *, store: Store, keys: Keys, broker: str) -> None:
    """Submit, again and again while Redis is away; exits where that does not work."""

    def once() -> None:
        send(
            loaded,
            store=store,
            id_=asked.id,
            seed=asked.seed,
            by=user(),
            urls={},
            keys=keys,
            labels=asked.labels,
            max_time_s=asked.max_time_s,
        )

    try:
        insist(once, within_s=SENT_WITHIN_S)
    except (ShakeoutError, ShakeoutWorkerError) as error:
        fail(str(error), EXIT_USAGE)
    except AWAY as error:
        fail(
            f"{explain(error, broker)}; whether {asked.id} was taken is not known: "
            f"`shakeout status {asked.id}` says so",
            EXIT_LOST,
        )
