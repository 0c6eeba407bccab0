"""Which runs of a schedule are to begin now, and which were missed because nobody led in time."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Final

from orchestrator.gameday.cron import Run, runs
from orchestrator.gameday.schedules import Schedule

LATE_S: Final = 90.0
"""A run that nobody began within this is missed: a leader that dies is followed by another in 6 s."""
MOST_MISSED: Final = 1_000
"""Counted one by one; of a schedule of every minute that is most of a day."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Runs due from `first_s` to `last_s` while nobody led; `more`: there were more than counted."""

    first_s: float
    last_s: float
    count: int
    more: bool = False


def look(schedule: Schedule, *, done_s: float, now_s: float) -> tuple[Missed | None, tuple[Run, ...]]:
    """What was missed, and what is to begin. `done_s`: the last due run that was dealt with before."""
    if schedule.paused is not None:
        return None, ()
    after_s = max(schedule.since_s, done_s)
    missed: Missed | None = None
    begin: list[Run] = []
    for run in runs(schedule.added.times, after_s=after_s):
        if run.at_s > now_s:
            break
        if now_s - run.at_s <= LATE_S:
            begin.append(run)
        elif missed is None:
            missed = Missed(run.due_s, run.due_s, 1)
        elif missed.count < MOST_MISSED:
            missed = Missed(missed.first_s, run.due_s, missed.count + 1)
        else:
            return Missed(missed.first_s, now_s - LATE_S, missed.count, more=True), ()
    return missed, tuple(begin)


def next_s(schedule: Schedule, *, done_s: float) -> float:
    """When the next run after those that were dealt with is to begin; infinity where none is."""
    if schedule.paused is not None:
        return inf
    coming = next(runs(schedule.added.times, after_s=max(schedule.since_s, done_s)), None)
    return coming.at_s if coming is not None else inf


def run_id(schedule: Schedule, run: Run, *, campaign: str) -> str:
    """The id of the campaign of a run: the same whoever begins it, so that it is begun once."""
    tail = hashlib.sha256(f"{schedule.added.name}\n{run.due_s:.0f}".encode()).hexdigest()[:4]
    return f"{campaign}-{datetime.fromtimestamp(run.at_s, UTC):%Y%m%d-%H%M%S}-{tail}"


def run_seed(schedule: Schedule, run: Run) -> int:
    """The seed of a run whose campaign names none."""
    digest = hashlib.sha256(f"seed\n{schedule.added.name}\n{run.due_s:.0f}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def missed_words(missed: Missed) -> str:
    """How many were missed."""
    runs_ = "run" if missed.count == 1 else "runs"
    return f"{missed.count}{' or more' if missed.more else ''} {runs_} due while no coordinator led"
