"""How long results are kept, as it is typed: `--keep-runs 90d`, `--keep-results 24h`."""

from typing import Annotated

import typer

from orchestrator.campaign.units import UnitError, duration_s
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.results.retention import LEAST_IN_REDIS_S, LEAST_S, MOST_IN_REDIS_S, Kept

KeepRuns = Annotated[
    str,
    typer.Option(
        "--keep-runs", envvar="SHAKEOUT_KEEP_RUNS", show_envvar=True, show_default=False, metavar="DURATION",
        help="Remove runs that ended longer ago (90d); without it none is removed.",
    ),
]  # fmt: skip
KeepResults = Annotated[
    str,
    typer.Option(
        "--keep-results", envvar="SHAKEOUT_KEEP_RESULTS", show_envvar=True, metavar="DURATION",
        help="How long Redis keeps the results of ended campaigns.",
    ),
]  # fmt: skip


def kept_for(*, runs: str, results: str) -> Kept:
    """What was typed, `runs` "" for ever; exit 2 where it cannot be read or is out of bounds."""
    return Kept(
        keep_runs_s(runs) if runs else None,
        _bounded("--keep-results", results, least_s=LEAST_IN_REDIS_S, most_s=MOST_IN_REDIS_S),
    )


def keep_runs_s(typed: str) -> float:
    """Seconds of `--keep-runs`; exit 2 as above."""
    return _bounded("--keep-runs", typed, least_s=LEAST_S, most_s=float("inf"))


def _bounded(option: str, typed: str, *, least_s: float, most_s: float) -> float:
    try:
        found = duration_s(typed)
    except UnitError as error:
        fail(f"{option} {typed!r}: {error.message}" + (f" ({error.hint})" if error.hint else ""), EXIT_USAGE)
    if not least_s <= found <= most_s:
        why = f"at least {_days(least_s)}" if found < least_s else f"at most {_days(most_s)}"
        fail(f"{option} {typed}: {why}", EXIT_USAGE)
    return found


def _days(length_s: float) -> str:
    return f"{length_s / 86400:g}d" if length_s >= 86400 else f"{length_s / 3600:g}h"
