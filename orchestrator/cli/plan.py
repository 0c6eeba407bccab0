"""`shakeout plan FILE`: a dry run of what would be offered, placed, broken, decided and paid."""

import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from orchestrator.campaign.load import LoadedCampaign, load_campaign
from orchestrator.campaign.models import Campaign
from orchestrator.cli.connection import Broker, open_store, reaching, signing_keys, target_limits, user
from orchestrator.cli.exits import EXIT_USAGE, fail, fail_file
from orchestrator.cli.run import MOST_WORKERS, slots_needed
from orchestrator.errors import CampaignFileError, ShakeoutError
from orchestrator.gameday.windows import refusal
from orchestrator.overview.fleet_now import FleetNow, fleet_now
from orchestrator.placement.ceilings import Ground
from orchestrator.placement.eligible import ANYTHING_GOES
from orchestrator.plan import Plan, plan_of
from orchestrator.submit.data_checks import prove_data
from orchestrator.submit.recorded import Recording, read_recordings, summaries
from orchestrator.submit.submit import draw_seed, golden_cases
from workers.contract.errors import ShakeoutWorkerError

if TYPE_CHECKING:
    from orchestrator.preview.preview import Preview


def plan(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The campaign file.", show_default=False)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Replace a value before planning; repeatable."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Workers to assume here, whatever the fleet is; else one per core, at least 2.",
            min=1,
            max=MOST_WORKERS,
        ),
    ] = None,
    no_look: Annotated[
        bool,
        typer.Option(
            "--no-look",
            help="Do not ask the workers (without a broker: this host) what each fault would touch now.",
        ),
    ] = False,
    broker: Broker = "",
    json_: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say what a campaign would do, without starting anything; exit 2 where its file is wrong.

    With a broker it is placed on that fleet as it is now: what it lacks is listed, and who came nearest.
    Else on the workers that `run` would start here. Faults are looked at dry: hosts and pids, none touched.
    """
    # loads scipy, which no other command should wait for
    from orchestrator.checkup.calibration import known  # noqa: PLC0415
    from orchestrator.cli.plan_text import show  # noqa: PLC0415
    from orchestrator.preview.beside import beside_of  # noqa: PLC0415
    from orchestrator.preview.preview import assumed_fleet, preview_of  # noqa: PLC0415

    source = context.get_parameter_source("broker")
    if workers and source is not None and source.name == "COMMANDLINE":  # the environment's may stand by
        fail("--workers assumes a fleet and --broker looks at one: say one of them", EXIT_USAGE)
    loaded, cases, recordings = _load(file, tuple(set_ or ()))
    traces = summaries(recordings)
    campaign = loaded.campaign
    seed = campaign.seed if campaign.seed is not None else draw_seed()
    whole = plan_of(campaign, seed=seed, traces=traces)
    if broker and not workers:
        now = _look(broker, campaign)
        live, ground, rules = now.live, now.ground, now.standing.rules
        preview = preview_of(
            campaign, seed=seed, fleet=now.cards, cases=cases, standing=now.standing, traces=traces
        )
    else:
        count = workers or max(2, os.cpu_count() or 1)
        live, ground, rules = (), Ground(limits=target_limits(())), ANYTHING_GOES
        slots = slots_needed(whole, count)
        here = known().calibration
        host = socket.gethostname()
        fleet = assumed_fleet(campaign, workers=count, slots=slots, host=host, calibration=here)
        preview = preview_of(campaign, seed=seed, fleet=fleet, cases=cases, traces=traces)
    beside = beside_of(campaign, whole, fleet=preview.fleet, rules=rules, live=live, ground=ground)
    preview = replace(preview, beside=beside)
    if not no_look and not workers:
        preview = _with_now(preview, whole, campaign, broker=broker, folder=loaded.path.parent)
    if json_:
        print(msgspec.json.format(msgspec.json.encode(preview), indent=2).decode())
        return
    shut = refusal(campaign.gameday, whole, now_s=time.time())
    for warning in (*loaded.warnings, *([f"it would be refused now: {shut}"] if shut else [])):
        print(f"warning: {warning}", file=sys.stderr)
    show(preview)


def _with_now(preview: "Preview", plan: Plan, campaign: Campaign, *, broker: str, folder: Path) -> "Preview":
    """What each fault would touch right now, asked of the fleet, or of this host."""
    from orchestrator.overview.looking import ask_fleet, ask_here, look_at  # noqa: PLC0415  # as above

    if not broker:
        return look_at(preview, plan, campaign, ask=ask_here(folder))
    with reaching(broker):
        ask = ask_fleet(open_store(broker), by=user(), keys=signing_keys())
        return look_at(preview, plan, campaign, ask=ask)


def _look(broker: str, campaign: Campaign) -> FleetNow:
    """The live fleet, and a warning where nobody leads it; exit 6 where its Redis does not answer."""
    store = open_store(broker)
    with reaching(broker):
        now = fleet_now(store, campaign)
    if not now.leads:
        print("warning: no coordinator leads this fleet: start one (shakeout coordinator)", file=sys.stderr)
    return now


def _load(file: Path, sets: tuple[str, ...]) -> tuple[LoadedCampaign, dict[str, int], dict[str, Recording]]:
    """The checked campaign, its golden cases and recorded arrivals; exit 2 with every problem at once."""
    try:
        loaded = load_campaign(file, sets=sets)
        prove_data(loaded)
        cases = golden_cases(loaded.campaign, file.parent)
        return loaded, cases, read_recordings(loaded.campaign, file.parent)
    except CampaignFileError as error:
        fail_file(file, error)
    except (ShakeoutError, ShakeoutWorkerError) as error:
        fail(str(error), EXIT_USAGE)
