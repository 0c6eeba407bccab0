"""`shakeout replay RUN --request ID`: one request of a run sent once more, beside what came of it then."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.connection import Broker, open_store, reaching
from orchestrator.cli.ended import fetch_into
from orchestrator.cli.exits import EXIT_USAGE, fail, fail_file
from orchestrator.cli.options import Sets
from orchestrator.cli.which import unknown
from orchestrator.errors import CampaignFileError, ShakeoutError
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.replay import ReplayOrder, encode_order


def replay(  # each is an option of the command
    run: Annotated[str, typer.Argument(metavar="RUN", help="A folder with a run's results, or its id.")],
    *,
    request: Annotated[str, typer.Option(metavar="ID", help="ACTIVITY/INDEX/ATTEMPT, as the report has it.")],
    campaign: Annotated[
        Path | None,
        typer.Option(help="The campaign file of the run: for its data, and for what its results mask."),
    ] = None,
    url: Annotated[str, typer.Option(help="Send it to this URL instead.")] = "",
    set_: Sets = None,
    allow_target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]|CIDR", help="A target that may be asked, beside loopback; repeatable."
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print request, answer and times as JSON.")] = False,
    broker: Broker = "",
) -> None:
    """Send one request of a run once more, and print it, its answer and its times; exit 1 if it fails."""
    from orchestrator.replay import Asked, order_of, which_request  # noqa: PLC0415  # loads pyarrow

    asked = Asked(
        file=campaign,
        url=url,
        sets=tuple(set_ or ()),
        allow_targets=tuple(allow_target or ()),
        json=json_,
    )
    try:
        which = which_request(request)
        with tempfile.TemporaryDirectory(prefix="shakeout-") as scratch:
            order = order_of(_folder(run, Path(scratch), broker), which, asked)
    except CampaignFileError as error:
        fail_file(campaign or Path(run), error)
    except (ShakeoutError, ShakeoutWorkerError) as error:
        fail(str(error), EXIT_USAGE)
    _become(order)


def _folder(run: str, scratch: Path, broker: str) -> Path:
    """The run's results: a folder, runs/RUN here, or fetched from the fleet into `scratch`."""
    place = Path(run)
    if place.is_dir():
        return place
    if os.sep not in run and (Path("runs") / run).is_dir():
        return Path("runs") / run
    if os.sep in run or not broker:
        hint = "" if os.sep in run else ", nor runs/" + run + "; for a fleet's say --broker redis://HOST:PORT"
        fail(f"there is no folder {run}{hint}", EXIT_USAGE)
    store = open_store(broker)
    with reaching(broker):
        if not store.is_finished(run):
            fail(unknown(store, run), EXIT_USAGE)
        problem = fetch_into(store, run, scratch)
    if problem:
        fail(problem, EXIT_USAGE)
    return scratch


def _become(order: ReplayOrder) -> None:
    """Go on as the program that sends: this one never does. The order goes by stdin."""
    with tempfile.TemporaryFile() as file:
        file.write(encode_order(order))
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        os.dup2(file.fileno(), 0)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "workers.replay"])  # noqa: S606  # no shell is wanted
