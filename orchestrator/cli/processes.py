"""`shakeout worker`, `coordinator`, `demo-target`: the long-lived processes of a fleet."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from orchestrator.cli.connection import (
    BROKER_VARIABLE,
    Broker,
    believed_keys,
    keys_for,
    permitted,
    target_limits,
)
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.keeping import KeepResults, KeepRuns, kept_for
from orchestrator.cli.options import AnnounceTo, TargetLimits
from orchestrator.errors import UsageError
from workers.contract.errors import ContractError
from workers.contract.log_lines import to_one_line


def worker(context: typer.Context) -> None:
    """Run this machine's shards: `--name N --slots K --label L --allow-target HOST[:PORT]`; see `--help`."""
    _become("workers", context.args)


def demo_target(context: typer.Context) -> None:
    """Serve a small OpenAI-compatible and V2 target with exact timing; see `--help`."""
    _become("workers.demo_target", context.args)


def coordinator(
    runs: Annotated[
        str, typer.Option(help="URL or folder under which each campaign gets its folder.")
    ] = "runs",
    keep_runs: KeepRuns = "",
    keep_results: KeepResults = "24h",
    target_limit: TargetLimits = None,
    announce_to: AnnounceTo = None,
    broker: Broker = "",
    folder: Annotated[str, typer.Option(hidden=True, help="The very folder of the only campaign.")] = "",
) -> None:
    """Lead the campaigns of a fleet, or stand by until the leader is gone."""
    from orchestrator.coordinator.admission import Trust  # noqa: PLC0415
    from orchestrator.coordinator.coordinator import serve  # noqa: PLC0415  # loads celery and pandas
    from orchestrator.results.results import Results  # noqa: PLC0415

    if not broker:
        fail(f"no broker: say --broker redis://HOST:PORT or set {BROKER_VARIABLE}", EXIT_USAGE)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    to_one_line()
    keys = keys_for(broker)
    trust = Trust(keys, believed_keys(keys))
    kept = kept_for(runs=keep_runs, results=keep_results)
    limits = target_limits(target_limit or ())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _once(stop))
    where = str(Path(runs).absolute()) if "://" not in runs else runs
    try:
        serve(
            broker=broker,
            results=Results(where, folder or None),
            trust=trust,
            stop=stop,
            kept=kept,
            target_limits=limits,
            permitted=permitted(announce_to or ()),
        )
    except (UsageError, ContractError) as error:
        fail(str(error), EXIT_USAGE)
    except OSError as error:
        fail(f"runs cannot be written to {where}: {error}", EXIT_USAGE)


def _once(stop: threading.Event) -> Callable[[int, FrameType | None], None]:
    """Set `stop` at the first signal, from another thread: this one may hold the event's lock."""
    seen: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if not seen:  # a second signal may interrupt the first one's work
            seen.append(number)
            threading.Thread(target=stop.set, daemon=True).start()

    return on_signal


def _become(module: str, arguments: list[str]) -> None:
    """Go on as another program of this installation, in the same process."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  # no shell is wanted
