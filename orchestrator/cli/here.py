"""The `shakeout run` that a command means: by its folder, or by its id where its folder is near."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestrator.cli.connection import open_store
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.local_access import Access, read_access
from orchestrator.store.store import Store

RUNS: Final = "runs"
"""Where `shakeout run` keeps its folders, seen from where it was called."""
MOST_FOLDERS: Final = 1000
"""Looked into, the newest names first: runs that ended lie beside the one that goes on."""


def run_here(id_: str | None, broker: str) -> Access | None:
    """The way to a run that goes on: of an id or folder; without one, and without a fleet, the only one here.

    A run with `--out` is found by its id too, where that folder lies in the current one or in `runs`.
    """
    if id_ is not None:
        direct = read_access(Path(id_)) or read_access(Path(RUNS) / id_)
        return direct or next((one for one in _near() if one.campaign == id_), None)
    found = list(_near()) if not broker else []
    return found[0] if len(found) == 1 else None


def reached(id_: str | None, broker: str) -> tuple[Store, str | None, Access | None]:
    """The Redis of a run here or of the fleet, the campaign's id there, and the way to the run if it is one.

    Exit 2 where neither is known, and says what is missing.
    """
    here = run_here(id_, broker)
    if here is not None:
        return open_store(here.broker), here.campaign, here
    if not broker and id_ is not None:
        fail(
            f"no broker, and no `shakeout run` of {id_} goes on in {Path.cwd()} or its {RUNS}/: for a fleet "
            "say --broker redis://HOST:PORT or set SHAKEOUT_BROKER, for a run its folder in place of the id",
            EXIT_USAGE,
        )
    return open_store(broker), id_, None


def _near() -> Iterator[Access]:
    """Every run that goes on in a folder of the current one or of its `runs`."""
    for parent in (Path(RUNS), Path()):
        try:
            names = sorted((one.name for one in os.scandir(parent) if one.is_dir()), reverse=True)
        except OSError:
            continue
        for name in names[:MOST_FOLDERS]:
            found = read_access(parent / name)
            if found is not None:
                yield found
