"""When a schedule is due: a cron expression in a time zone, each run a little later by its own jitter.

Summer time as Debian's cron has it, which the library follows: a run at a time that is left out comes right
after the gap, one at a time that comes twice is done once.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from orchestrator.errors import UsageError

FIELDS: Final = 5
MOST_JITTER_S: Final = 3600.0
SHOWN: Final = 10
"""Runs ahead among which the shortest gap is looked for."""


@dataclass(frozen=True, slots=True)
class Cron:
    """`name` and `seed` choose the jitter, the same whoever asks."""

    name: str
    expression: str
    timezone: str
    jitter_s: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One run: when cron has it due, and when it is to begin, jitter included. Common time."""

    due_s: float
    at_s: float


def check_cron(cron: Cron, *, now_s: float) -> None:
    """Raise UsageError that says what is wrong with a schedule's time."""
    try:
        ZoneInfo(cron.timezone)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"there is no time zone {cron.timezone!r}: say an IANA name, e.g. Europe/Berlin"
        ) from error
    if len(cron.expression.split()) != FIELDS:
        raise UsageError(
            f"cron {cron.expression!r} has not five fields: say minute, hour, day, month, day of the week, "
            'e.g. "0 10 * * tue"'
        )
    try:
        ahead = [run.due_s for run, _ in zip(runs(cron, after_s=now_s), range(SHOWN), strict=False)]
    except CronSimError as error:
        raise UsageError(
            f'cron {cron.expression!r}: {error}; e.g. "0 10 * * tue" is Tuesdays at 10'
        ) from error
    if not ahead:
        raise UsageError(f"cron {cron.expression!r} never comes: no such day in 50 years")
    gap_s = min((later - sooner for sooner, later in pairwise(ahead)), default=MOST_JITTER_S)
    most_s = min(gap_s, MOST_JITTER_S)
    if not 0 <= cron.jitter_s < most_s:
        raise UsageError(f"a jitter of {cron.jitter_s:g}s cannot be: it must stay below {most_s:g}s here")


def runs(cron: Cron, *, after_s: float) -> Iterator[Run]:
    """Its runs that are due after a moment, in order. Raises CronSimError for what cannot be read."""
    start = datetime.fromtimestamp(after_s, ZoneInfo(cron.timezone))
    for moment in CronSim(cron.expression, start):
        due_s = moment.timestamp()
        if due_s > after_s:  # an hour that comes twice is looked at twice
            yield Run(due_s, due_s + cron.jitter_s * _share(cron, due_s))


def _share(cron: Cron, due_s: float) -> float:
    """0..1 for this run, by the schedule's name and seed."""
    digest = hashlib.sha256(f"{cron.name}\n{cron.seed}\n{due_s:.0f}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
