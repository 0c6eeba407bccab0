"""`shakeout worker`, `coordinator`, `demo-target`: the long-lived processes of a fleet."""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.errors import UsageError

BROKER = "SHAKEOUT_BROKER"


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
    broker: Annotated[str, typer.Option(envvar=BROKER, help="Address of Redis.", show_envvar=True)] = "",
    folder: Annotated[str, typer.Option(hidden=True, help="The very folder of the only campaign.")] = "",
) -> None:
    """Lead the campaigns of a fleet, or stand by until the leader is gone."""
    from orchestrator.coordinator import serve  # noqa: PLC0415  # loads celery and pandas
    from orchestrator.results import Results  # noqa: PLC0415

    if not broker:
        fail(f"no broker: say --broker redis://HOST:PORT or set {BROKER}", EXIT_USAGE)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    where = str(Path(runs).absolute()) if "://" not in runs else runs
    try:
        serve(broker=broker, results=Results(where, folder or None), stop=stop)
    except UsageError as error:
        fail(str(error), EXIT_USAGE)
    except OSError as error:
        fail(f"runs cannot be written to {where}: {error}", EXIT_USAGE)


def _become(module: str, arguments: list[str]) -> None:
    """Go on as another program of this installation, in the same process."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  # no shell is wanted
