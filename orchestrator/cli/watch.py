"""`shakeout watch [ID]`: a campaign of a fleet, followed to its end."""

from typing import Annotated, NoReturn

import typer

from orchestrator.cli.connection import Broker, open_store, reaching
from orchestrator.cli.ended import Wanted, tell_end, where_kept
from orchestrator.cli.exits import EXIT_LOST, EXIT_USAGE, fail
from orchestrator.cli.following import Follower, insist
from orchestrator.cli.interrupts import Interrupts
from orchestrator.cli.options import OnInconclusive
from orchestrator.cli.watching import Screen
from orchestrator.cli.which import which
from orchestrator.coordinator.cards import kept_for
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.broker.connection import masked

REACHED_WITHIN_S = 10.0


def watch(
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The campaign; else the only one that runs.")
    ] = None,
    *,
    inconclusive: OnInconclusive = None,
    json_: Annotated[bool, typer.Option("--json", help="Print only the result, as JSON.")] = False,
    broker: Broker = "",
) -> None:
    """Follow a campaign of a fleet to its end; the exit code is that of its verdict."""
    store = open_store(broker)
    interrupts = Interrupts()
    interrupts.install()
    with reaching(broker):
        try:
            campaign = which(store, id_, command="watch")
            if not store.client.exists(names.journal(campaign)):
                ago = kept_for(store)
                fail(f"{campaign} ended more than {ago} ago; {where_kept(store, campaign)}", EXIT_USAGE)
            interrupts.starting = False
        except KeyboardInterrupt:
            raise typer.Exit(interrupts.exit_code) from None
        screen = Screen(json_=json_)
        screen.say(f"campaign {campaign}")
        follow_to_end(
            store,
            campaign,
            broker=broker,
            screen=screen,
            interrupts=interrupts,
            wanted=Wanted(on_inconclusive=inconclusive),
        )


def follow_to_end(
    store: Store, campaign: str, *, broker: str, screen: Screen, interrupts: Interrupts, wanted: Wanted
) -> NoReturn:
    """Follow a campaign, tell its end, and exit by its verdict.

    A signal ends the watching, not the campaign; lost contact exits with 6. Raises redis errors that are no
    outage.
    """
    flower = insist(store.flower, within_s=REACHED_WITHIN_S)
    if flower:
        screen.say(f"Flower: {flower}")
    start = f"start one with `shakeout coordinator --broker {masked(broker)} --runs URL`"
    end = Follower(store, broker, campaign, screen, leads=start).follow(enough=lambda: interrupts.count > 0)
    if end.lost:
        fail(f"{end.lost}; go on with `shakeout watch {campaign}`", EXIT_LOST)
    if end.fact is None:
        screen.warn(
            f"{interrupts.name}: the campaign goes on: `shakeout watch {campaign}`, "
            f"`shakeout abort {campaign}`"
        )
        raise typer.Exit(interrupts.exit_code)
    interrupts.starting = True  # from here on a signal ends the command at once
    try:
        tell_end(store, campaign, end.fact, screen=screen, wanted=wanted)
    except KeyboardInterrupt:
        fail(f"{interrupts.name}: {campaign} has ended: `shakeout report {campaign}`", interrupts.exit_code)
