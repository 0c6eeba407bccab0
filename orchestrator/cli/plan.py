"""`shakeout plan FILE`: a dry run of what would be offered, placed, broken, decided and paid."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from orchestrator.campaign.load import LoadedCampaign, load_campaign
from orchestrator.cli.connection import Broker, open_store, reaching
from orchestrator.cli.exits import EXIT_USAGE, fail, fail_file
from orchestrator.cli.run import MOST_WORKERS, slots_needed
from orchestrator.data_checks import prove_data
from orchestrator.errors import CampaignFileError, ShakeoutError
from orchestrator.overview.fleet_now import FleetNow, fleet_now
from orchestrator.plan import plan_of
from orchestrator.recorded import Recording, read_recordings, summaries
from orchestrator.submit import draw_seed, golden_cases
from workers.contract.errors import ShakeoutWorkerError


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
    broker: Broker = "",
    json_: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say what a campaign would do, without starting anything; exit 2 where its file is wrong.

    With a broker it is placed on that fleet as it is now: what it lacks is listed, and who came nearest.
    Else on the workers that `run` would start here.
    """
    # loads scipy, which no other command should wait for
    from orchestrator.checkup.calibration import known  # noqa: PLC0415
    from orchestrator.cli.plan_text import show  # noqa: PLC0415
    from orchestrator.preview import assumed_fleet, preview_of  # noqa: PLC0415

    source = context.get_parameter_source("broker")
    if workers and source is not None and source.name == "COMMANDLINE":  # the environment's may stand by
        fail("--workers assumes a fleet and --broker looks at one: say one of them", EXIT_USAGE)
    loaded, cases, recordings = _load(file, tuple(set_ or ()))
    traces = summaries(recordings)
    campaign = loaded.campaign
    seed = campaign.seed if campaign.seed is not None else draw_seed()
    if broker and not workers:
        now = _look(broker)
        preview = preview_of(
            campaign, seed=seed, fleet=now.cards, cases=cases, standing=now.standing, traces=traces
        )
    else:
        count = workers or max(2, os.cpu_count() or 1)
        slots = slots_needed(plan_of(campaign, seed=seed, traces=traces), count)
        here = known().calibration
        host = socket.gethostname()
        fleet = assumed_fleet(campaign, workers=count, slots=slots, host=host, calibration=here)
        preview = preview_of(campaign, seed=seed, fleet=fleet, cases=cases, traces=traces)
    if json_:
        print(msgspec.json.format(msgspec.json.encode(preview), indent=2).decode())
        return
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    show(preview)


def _look(broker: str) -> FleetNow:
    """The live fleet, and a warning where nobody leads it; exit 6 where its Redis does not answer."""
    store = open_store(broker)
    with reaching(broker):
        now = fleet_now(store)
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
