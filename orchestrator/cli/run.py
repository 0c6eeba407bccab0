"""`shakeout run FILE`: the whole campaign on this machine, from an embedded fleet to the report."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Annotated, NoReturn

import typer

from orchestrator.campaign.load import LoadedCampaign
from orchestrator.cli.connection import user
from orchestrator.cli.exits import EXIT_ABORTED, EXIT_INTERNAL, EXIT_LOST, EXIT_USAGE, fail, told_code
from orchestrator.cli.following import Follower
from orchestrator.cli.in_time import insist_on_time
from orchestrator.cli.incoming import Asked, asked_of, empty_folder, load
from orchestrator.cli.interrupts import Interrupts
from orchestrator.cli.options import Labels, MaxTime, OnInconclusive, Sets
from orchestrator.cli.watching import Result, Screen, show_result
from orchestrator.errors import UsageError
from orchestrator.leftovers import words
from orchestrator.local import start_fleet
from orchestrator.local_access import leave_access
from orchestrator.local_processes import Fleet, FleetError, unwritable
from orchestrator.plan import Plan, plan_of
from orchestrator.results.results import ERROR, REPORT
from orchestrator.store.store import Store
from orchestrator.submit.submit import submit
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.trust import sign_fact

LOST_AFTER_S = 30.0
"""Valkey is started again when it dies; if it still does not answer after this, the run is lost."""
MOST_WORKERS = 64


def run(
    file: Annotated[Path, typer.Argument(help="The campaign file.", show_default=False, readable=False)],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results itself; else runs/<campaign-id>.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Workers to start; else one per core, at least 2.", min=1, max=MOST_WORKERS),
    ] = None,
    set_: Sets = None,
    label: Labels = None,
    max_time: MaxTime = "",
    inconclusive: OnInconclusive = None,
    allow_target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]|CIDR", help="A target that may be loaded, beside loopback; repeatable."
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print report.json's verdict as JSON at the end.")
    ] = False,
) -> None:
    """Run a campaign on this machine, with a fleet of its own, and write its report."""
    loaded = load(file, set_ or (), local=True)
    asked = asked_of(loaded, labels=label or (), max_time=max_time)
    plan = plan_of(loaded.campaign, seed=asked.seed)
    folder = empty_folder(out if out is not None else Path("runs") / asked.id)
    insist_on_time(loaded.campaign, plan, folder=folder)
    count = workers or max(2, os.cpu_count() or 1)
    screen = Screen(json_=json_, called=(asked.id, quote(str(folder))))
    screen.say(f"campaign {asked.id}, seed {asked.seed}, {count} workers, results in {folder}")
    interrupts = Interrupts(starting=False)
    interrupts.install()
    try:
        fleet = start_fleet(
            loaded.campaign,
            folder=folder,
            workers=count,
            slots=slots_needed(plan, count),
            allow=tuple(allow_target or ()),
            seed=asked.seed,
            user_code=loaded.path.parent,
            check=interrupts.check,
        )
    except (FleetError, OSError, KeyboardInterrupt) as error:
        _not_started(error, folder, interrupts)
    try:
        ended = _conduct(fleet, loaded, asked=asked, interrupts=interrupts, screen=screen)
    except UsageError as error:
        fail(str(error), EXIT_USAGE)
    if ended is None:
        raise typer.Exit(EXIT_LOST if interrupts.count < 2 else EXIT_ABORTED)
    show_result(screen, Result(asked.id, ended, folder))
    raise typer.Exit(told_code(ended.verdict, inconclusive))


def slots_needed(plan: Plan, workers: int) -> int:
    """Engine slots each of the workers needs so that every phase can be placed."""
    most = 1
    for phase in plan.phases:
        shards = sum((one.shards or workers) for one in phase.activities if one.needs_engine)
        most = max(most, -(-shards // workers))
    return most


def _not_started(error: BaseException, folder: Path, interrupts: Interrupts) -> NoReturn:
    """The fleet did not start, and nothing of it is left: say why and exit."""
    with suppress(OSError):
        folder.rmdir()
    match error:
        case KeyboardInterrupt():
            fail(f"{interrupts.name}: stopped before anything was sent", EXIT_ABORTED)
        case OSError():
            fail(f"{error.filename or folder}: {error.strerror}", EXIT_USAGE)
        case _:
            fail(str(error), EXIT_INTERNAL)


def _conduct(
    fleet: Fleet, loaded: LoadedCampaign, *, asked: Asked, interrupts: Interrupts, screen: Screen
) -> f.Ended | None:
    """Submit, follow to the end, take the fleet down; None where contact was lost or a second signal came."""
    try:
        store = Store(fleet.broker)
        leave_access(fleet, asked.id)
        submit(
            loaded,
            store=store,
            id_=asked.id,
            seed=asked.seed,
            by=user(),
            urls=fleet.urls,
            keys=fleet.keys,
            labels=asked.labels,
            max_time_s=asked.max_time_s,
        )
        follower = Follower(store, fleet.broker, asked.id, screen, lost_after_s=LOST_AFTER_S)
        end = follower.follow(
            enough=lambda: interrupts.count > 1,
            beside=lambda: _tend(fleet, store, asked.id, interrupts, screen),
        )
        if end.lost:
            screen.warn(f"lost contact with Valkey: {end.lost}")
        ended = None if end.fact is None else _written(end.fact, store, asked.id, fleet.work.parent)
    except BaseException:
        _warn_of(fleet.kill(), screen)
        raise
    _warn_of(fleet.kill() if interrupts.count > 1 or ended is None else fleet.stop(), screen)
    return ended


def _warn_of(left: Iterable[Path], screen: Screen) -> None:
    for ledger in left:
        screen.warn(words(ledger))


def _tend(fleet: Fleet, store: Store, id_: str, interrupts: Interrupts, screen: Screen) -> f.Ended | None:
    """Look after the fleet, and pass the first signal on; the end where there is no going on."""
    hopeless = fleet.hopeless()
    if hopeless:
        verdict = "invalid" if unwritable(fleet.work) else "internal"
        return f.Ended(verdict=verdict, reasons=(hopeless,))
    for said in fleet.tend():
        screen.say(said)
    if interrupts.count and not interrupts.passed_on:
        now_s = store.now_s()
        asked = f.AbortAsked(by=user(), why=interrupts.name, at_s=now_s)
        signed = sign_fact(asked, campaign=id_, keys=fleet.keys, now_s=now_s)
        store.say(id_, id_="abort-asked", fact=signed)
        interrupts.passed_on = True
        screen.say(f"{interrupts.name}: stopping in order; once more ends everything at once")
    return None


def _written(ended: f.Ended, store: Store, id_: str, folder: Path) -> f.Ended:
    """The end as it is told: without its report no verdict stands but a fail or an abort."""
    if (folder / REPORT).exists():
        return ended
    full = unwritable(folder)
    said: bytes | None = store.client.hget(names.results(id_), ERROR)
    why = full or (said or b"the reason is not known").decode()
    stands = ended.verdict in ("fail", "aborted")
    verdict = ended.verdict if stands else "invalid" if full else "internal"
    reasons = (f"the results could not be written to {folder}: {why}", *ended.reasons)
    return f.Ended(verdict=verdict, reasons=reasons, at_s=ended.at_s)
