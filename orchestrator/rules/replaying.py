"""A rule file and a run's folder -> when each alert would have fired."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.rules.promtool import PromtoolError, Spell, check, replay
from orchestrator.rules.series import RecordedError, recorded

INTERVALS: Final = "intervals.parquet"
JOURNAL: Final = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Replayed:
    """`start_s`: common time of the run's first second, from which `spells` count; `seconds`: its length."""

    start_s: float
    seconds: int
    spells: tuple[Spell, ...]


def replayed(rules: Path, run: Path, *, scrape_every_s: float, evaluate_every_s: float) -> Replayed:
    """Replay the rules. Raises PromtoolError, and RecordedError where the folder holds no run."""
    if not rules.is_file():
        raise PromtoolError(f"{rules}: no such file")
    intervals, journal = run / INTERVALS, run / JOURNAL
    if not intervals.is_file():
        raise RecordedError(f"{run} has no {INTERVALS}: name the folder of a run's results")
    check(rules)
    lines = journal.read_bytes().splitlines() if journal.is_file() else []
    series = recorded(intervals.read_bytes(), lines)
    found = replay(rules, series, scrape_every_s=scrape_every_s, evaluate_every_s=evaluate_every_s)
    return Replayed(series.start_s, series.seconds, found)
