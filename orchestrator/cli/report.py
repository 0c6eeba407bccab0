"""`shakeout report ID|DIR`: what an ended campaign came to, from its folder or fetched from the fleet."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.connection import Broker, open_store, reaching
from orchestrator.cli.ended import as_told, fetch_into, where_kept
from orchestrator.cli.exits import EXIT_ABORTED, EXIT_USAGE, exit_code, fail, told_code
from orchestrator.cli.incoming import empty_folder
from orchestrator.cli.options import OnInconclusive
from orchestrator.cli.tables import console, say, show_table
from orchestrator.cli.watching import COLOURS
from orchestrator.cli.which import unknown
from orchestrator.coordinator.cards import kept_for
from orchestrator.errors import UsageError
from orchestrator.overview.read import summary_of
from orchestrator.report.formats import quantity
from orchestrator.results.fetch import why_no_report
from orchestrator.results.report_file import StoredReport, read_report, report_file
from orchestrator.results.results import REPORT
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names

_COLUMNS = ("verdict", "on", "claim", "observed", "why")


def report(
    which: Annotated[
        str, typer.Argument(metavar="ID|DIR", help="A campaign's id, or a folder with its results.")
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder that results are fetched into; else runs/<campaign-id>.")
    ] = None,
    inconclusive: OnInconclusive = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    broker: Broker = "",
) -> None:
    """Tell an ended campaign's verdict, and exit by it; an ID's results are fetched from the fleet."""
    place = Path(which)
    if not place.exists() and (os.sep in which or place.suffix == ".json"):
        fail(f"{which}: no such file or folder", EXIT_USAGE)
    if place.exists():
        if out is not None:
            fail(f"--out goes with a campaign's id; {which} is a folder of results already", EXIT_USAGE)
    elif out is None and (Path("runs") / which / REPORT).exists():
        place = Path("runs") / which
    else:
        place = _fetch(which, out if out is not None else Path("runs") / which, broker)
    try:
        file = report_file(place)
        found = read_report(file)
    except UsageError as error:
        fail(str(error), EXIT_USAGE)
    _show(found, file, json_=json_)
    code = told_code(found.verdict, inconclusive) if found.exit_code != EXIT_ABORTED else found.exit_code
    raise typer.Exit(code)


def _fetch(campaign: str, folder: Path, broker: str) -> Path:
    """A finished campaign's results, fetched; exit 2 where there are none to fetch."""
    if not broker:
        fail(
            f"no folder {campaign} here, and no broker to fetch a campaign of that id from: "
            "say --broker redis://HOST:PORT or set SHAKEOUT_BROKER",
            EXIT_USAGE,
        )
    store = open_store(broker)
    with reaching(broker):
        _must_be_there(store, campaign)
        folder = empty_folder(folder)
        problem = fetch_into(store, campaign, folder)
    if problem:
        fail(problem, EXIT_USAGE)
    return folder


def _must_be_there(store: Store, campaign: str) -> None:
    """Exit 2 for a campaign that is unknown or still runs, by its verdict for one that left no report.

    Raises redis errors.
    """
    if not store.is_finished(campaign):
        if campaign in store.campaigns():
            fail(f"{campaign} still runs: `shakeout watch {campaign}` waits for its end", EXIT_USAGE)
        fail(unknown(store, campaign), EXIT_USAGE)
    if store.client.exists(names.results(campaign)):
        missing = why_no_report(store, campaign)
        if missing:
            ended = summary_of(store, campaign).state.ended or f.Ended(verdict="internal")
            fail(f"{campaign} has no report: {missing}", exit_code(as_told(ended, missing).verdict))
        return
    kept = kept_for(store)
    fail(
        f"Redis keeps results for {kept}, and {campaign} ended before: {where_kept(store, campaign)}",
        EXIT_USAGE,
    )


def _show(found: StoredReport, file: Path, *, json_: bool) -> None:
    page = file.with_name("report.html")
    if json_:
        told = {
            "campaign": found.campaign.id,
            "verdict": found.verdict,
            "reasons": list(found.reasons),
            "aborted_by": found.campaign.aborted_by,
            "slos": [
                {"slo": one.slo, "place": one.place, "activity": one.activity, "verdict": one.verdict,
                 "observed": one.observed, "unit": one.unit, "why": one.why}
                for one in found.slos
            ],
            "report": str(file),
        }  # fmt: skip
        print(json.dumps(told, indent=2))
        return
    to = console()
    say(to, f"campaign {found.campaign.id}, by {found.campaign.submitted_by}")
    if found.campaign.aborted_by:
        say(to, f"stopped by {found.campaign.aborted_by}")
    say(to, f"verdict: {found.verdict}", style=f"bold {COLOURS[found.verdict]}")
    for reason in found.reasons:
        say(to, f"  {reason}")
    rows = [
        (one.verdict, one.activity, one.slo, quantity(one.observed, one.unit), one.why) for one in found.slos
    ]
    show_table(to, _COLUMNS, rows, colours=[COLOURS[one.verdict] for one in found.slos])
    say(to, f"report: {page if page.exists() else file}")
