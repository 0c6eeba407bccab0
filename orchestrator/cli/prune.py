"""`shakeout prune`: remove runs that ended long ago, as a coordinator with `--keep-runs` does by itself."""

import time
from pathlib import Path
from typing import Annotated, Final

import redis
import typer

from orchestrator.cli.connection import Broker, open_store
from orchestrator.cli.exits import EXIT_LOST, EXIT_USAGE, fail
from orchestrator.cli.keeping import keep_runs_s
from orchestrator.cli.tables import console, moment, say, show_json
from orchestrator.errors import UsageError
from orchestrator.results.results import Results
from orchestrator.results.retention import Pruned
from orchestrator.results.retention import prune as remove_old
from workers.contract.broker.connection import masked
from workers.contract.broker.trouble import explain

EXIT_REFUSED: Final = 1


def prune(
    runs: Annotated[str, typer.Option(help="URL or folder under which the runs are.")] = "runs",
    keep_runs: Annotated[
        str, typer.Option("--keep-runs", metavar="DURATION", help="Remove what ended longer ago (90d).")
    ] = "90d",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only named.")] = False,
    sure: Annotated[
        bool, typer.Option("--sure", help="The clock is right, though it seems to have jumped.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON, for scripts.")] = False,
    broker: Broker = "",
) -> None:
    """Name the runs that ended longer ago than is asked for, and remove them with `--yes`."""
    keep_s = keep_runs_s(keep_runs)
    if "://" not in runs and not Path(runs).is_dir():
        fail(f"--runs {runs}: there is no such folder", EXIT_USAGE)
    now_s, live = _fleet(broker)
    where = str(Path(runs).absolute()) if "://" not in runs else runs
    try:
        found = remove_old(
            Results(where), keep_s=keep_s, now_s=now_s, own_s=time.time(), live=live, dry=not yes, sure=sure
        )
    except (OSError, UsageError) as error:
        fail(f"runs at {masked(where)}: {error}", EXIT_USAGE)
    if json_:
        show_json(found)
    else:
        _show(found)
    if found.refused:
        fail(found.refused, EXIT_REFUSED)


def _fleet(broker: str) -> tuple[float, frozenset[str]]:
    """The common clock and the live campaigns; this host's clock and none where no fleet is named."""
    if not broker:
        return time.time(), frozenset()
    store = open_store(broker)
    try:
        return store.now_s(), frozenset(store.campaigns())
    except redis.RedisError as error:
        fail(explain(error, broker), EXIT_LOST)


def _show(found: Pruned) -> None:
    to = console()
    for id_ in found.removed:
        say(to, id_)
    for id_, why in found.left.items():
        say(to, f"{id_}: left alone, {why}", "yellow")
    before = moment(found.at_s - found.keep_s)
    if found.refused:
        return
    if not found.removed:
        say(to, f"no run here that may be removed ended before {before} UTC")
        return
    done = "would be removed; say --yes" if found.dry else "removed"
    say(to, f"{len(found.removed)} of the runs here ended before {before} UTC: {done}")
