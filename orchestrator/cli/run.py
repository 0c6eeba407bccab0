"""`shakeout run FILE`: the whole campaign on this machine, from an embedded fleet to the report."""

import getpass
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NoReturn

import redis
import typer

from orchestrator.campaign.load import LoadedCampaign, load_campaign
from orchestrator.cli.exits import (
    EXIT_ABORTED,
    EXIT_INTERNAL,
    EXIT_LOST,
    EXIT_USAGE,
    exit_code,
    fail,
    fail_file,
)
from orchestrator.cli.watching import Screen, show_result
from orchestrator.errors import CampaignFileError, ShakeoutError, UsageError
from orchestrator.facts import State, fold
from orchestrator.local import SPACE_BYTES, Fleet, FleetError, start_fleet, unwritable
from orchestrator.plan import Plan, plan_of
from orchestrator.results import ERROR
from orchestrator.store import Store
from orchestrator.submit import draw_seed, golden_cases, new_id, refuse_unfinished, submit
from workers.contract import facts as f
from workers.contract import names
from workers.contract.errors import ShakeoutWorkerError

POLL_S = 0.1
LOST_AFTER_S = 30.0
"""Valkey is started again when it dies; if it still does not answer after this, the run is lost."""
MOST_WORKERS = 64


@dataclass(slots=True)
class Interrupts:
    """Signals so far.

    At the first one the campaign is aborted in order, at the second everything ends at once; while the
    fleet is still starting, at the first.
    """

    count: int = 0
    name: str = ""
    said: bool = field(default=False)
    starting: bool = field(default=True)

    def install(self) -> None:
        """Count SIGINT, SIGTERM and SIGHUP from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants it ignored
                signal.signal(number, self._seen)

    def _seen(self, number: int, _frame: object) -> None:
        self.count += 1
        self.name = signal.Signals(number).name
        if self.starting:
            raise KeyboardInterrupt


def run(
    file: Annotated[Path, typer.Argument(help="The campaign file.", show_default=False, readable=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results itself; else runs/<campaign-id>.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Workers to start; else one per core, at least 2.", min=1, max=MOST_WORKERS),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Replace a value; repeatable.")
    ] = None,
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
    loaded = _load(file, set_ or ())
    seed = loaded.campaign.seed if loaded.campaign.seed is not None else draw_seed()
    plan = plan_of(loaded.campaign, seed=seed)
    id_ = new_id(loaded.campaign.campaign, now_s=time.time())
    folder = _folder(out if out is not None else Path("runs") / id_)
    count = workers or max(2, os.cpu_count() or 1)
    screen = Screen(json_=json_)
    screen.say(f"campaign {id_}, seed {seed}, {count} workers, results in {folder}")
    interrupts = Interrupts()
    interrupts.install()
    try:
        fleet = start_fleet(
            loaded.campaign,
            folder=folder,
            workers=count,
            slots=slots_needed(plan, count),
            allow=tuple(allow_target or ()),
            seed=seed,
        )
        interrupts.starting = False
    except (FleetError, OSError, KeyboardInterrupt) as error:
        _not_started(error, folder, interrupts)
    try:
        ended = _conduct(fleet, loaded, id_=id_, seed=seed, interrupts=interrupts, screen=screen)
    except UsageError as error:
        fail(str(error), EXIT_USAGE)
    if ended is None:
        raise typer.Exit(EXIT_LOST if interrupts.count < 2 else EXIT_ABORTED)
    show_result(screen, folder, ended)
    raise typer.Exit(exit_code(ended.verdict))


def slots_needed(plan: Plan, workers: int) -> int:
    """Engine slots each of the workers needs so that every phase can be placed."""
    most = 1
    for phase in plan.phases:
        shards = sum((one.shards or workers) for one in phase.activities if one.needs_engine)
        most = max(most, -(-shards // workers))
    return most


def _load(file: Path, sets: Sequence[str]) -> LoadedCampaign:
    """The checked campaign; every problem at once and exit 2 where there is any."""
    try:
        loaded = load_campaign(file, sets=tuple(sets))
        refuse_unfinished(loaded.campaign, local=True)
        golden_cases(loaded.campaign, file.parent)
    except CampaignFileError as error:
        fail_file(file, error)
    except (ShakeoutError, ShakeoutWorkerError) as error:
        fail(str(error), EXIT_USAGE)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return loaded


def _folder(folder: Path) -> Path:
    """The run's folder, made and proved to have room; what was made is gone again where it has none."""
    if (folder / "report.json").exists():
        fail(f"{folder} already holds a report: say another --out", EXIT_USAGE)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        why = unwritable(folder, size_bytes=SPACE_BYTES)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        with suppress(OSError):
            for place in made:
                place.rmdir()
        fail(f"results cannot be written to {folder}: {why}; say --out with a folder that can", EXIT_USAGE)
    return folder.absolute()


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
    fleet: Fleet, loaded: LoadedCampaign, *, id_: str, seed: int, interrupts: Interrupts, screen: Screen
) -> f.Ended | None:
    """Submit, follow to the end, take the fleet down; None where contact was lost or a second signal came."""
    try:
        store = Store(fleet.broker)
        submit(loaded, store=store, id_=id_, seed=seed, by=_who(), urls=fleet.urls)
        ended = _follow(fleet, store, id_, interrupts, screen)
        if ended is not None:
            ended = _written(ended, store, id_, fleet.work.parent)
    except BaseException:
        fleet.kill()
        raise
    if interrupts.count > 1 or ended is None:
        fleet.kill()
    else:
        fleet.stop()
    return ended


def _follow(fleet: Fleet, store: Store, id_: str, interrupts: Interrupts, screen: Screen) -> f.Ended | None:
    """Watch the journal and the live view until the results are written."""
    state, last = State(), "0-0"
    heard = time.monotonic()
    with screen:
        while interrupts.count < 2:
            hopeless = fleet.hopeless()
            if hopeless:
                verdict = "invalid" if unwritable(fleet.work) else "internal"
                return f.Ended(verdict=verdict, reasons=(hopeless,))
            for said in fleet.tend():
                screen.say(said)
            try:
                if interrupts.count and not interrupts.said:
                    asked = f.AbortAsked(by=_who(), why=interrupts.name, at_s=store.now_s())
                    store.say(id_, id_="abort-asked", fact=asked)
                    interrupts.said = True
                    screen.say(f"{interrupts.name}: stopping in order; once more ends everything at once")
                for entry in store.journal(id_, after=last):
                    last = entry.id
                    state = fold(state, entry.fact)
                    screen.tell(entry.fact)
                screen.show(store.client.get(names.live(id_)))
                if state.ended is not None and store.client.zscore(names.FINISHED, id_) is not None:
                    return state.ended
                heard = time.monotonic()
            except redis.RedisError as error:
                if time.monotonic() - heard > LOST_AFTER_S:
                    screen.say(f"lost contact with Valkey: {error}")
                    return None
            time.sleep(POLL_S)
    return None


def _written(ended: f.Ended, store: Store, id_: str, folder: Path) -> f.Ended:
    """The end as it is told: without its report no verdict stands but a fail or an abort."""
    if (folder / "report.json").exists():
        return ended
    full = unwritable(folder)
    said: bytes | None = store.client.hget(names.results(id_), ERROR)
    why = full or (said or b"the reason is not known").decode()
    stands = ended.verdict in ("fail", "aborted")
    verdict = ended.verdict if stands else "invalid" if full else "internal"
    reasons = (f"the results could not be written to {folder}: {why}", *ended.reasons)
    return f.Ended(verdict=verdict, reasons=reasons, at_s=ended.at_s)


def _who() -> str:
    """The user who runs this; the number of one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
