"""What a dead engine left behind: its counters, and the closing snapshot that it could not send itself.

For the supervisor, which keeps a `Tally` of the snapshots that reached it; the rest stands in the mark file.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workers.contract.bounds import BoundCount
from workers.contract.errors import EngineError
from workers.contract.snapshot import ABANDONED, JUDGED, UNSENT_GENERATOR, WARMUP, Cell, Snapshot
from workers.engine import markfile as mark

Place = tuple[int, str]
"""Second of intended time, and JUDGED or WARMUP."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Cumulative counters of one second and group; of `handed` arrivals `sent` left, ended by `outcomes`."""

    handed: int
    sent: int
    never_sent: int
    outcomes: dict[str, int]
    bounds: dict[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Left:
    """A mark file read: own indices below `dispatched` were handed to users; `missed` counts found no slot.

    `writing`: the place of a request whose first byte was being written, so that nobody knows.
    """

    dispatched: int
    last_seq: int
    missed: int
    writing: Place | None
    seconds: dict[Place, Counts]


def read(path: str) -> Left:
    """Read the file of an engine that is gone. Raises EngineError where it is missing or unfinished."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise EngineError(
            f"no watermark at {path}: {error.strerror}; the engine died before it was ready"
        ) from error
    words = struct.unpack(f"={len(raw) // mark.WORD}q", raw[: len(raw) // mark.WORD * mark.WORD])
    if len(words) < mark.IDS_AT or words[mark.MAGIC_AT] != mark.MAGIC:
        raise EngineError(f"{path} is no finished watermark file; the engine died before it was ready")
    names = _names(raw, words[mark.NAMES_USED_AT])
    start = mark.IDS_AT * mark.WORD
    ids: list[str] = json.loads(raw[start : start + words[mark.IDS_BYTES_AT]])
    cells = dict(_cells(words))
    written = words[mark.WRITING_AT] - 1
    return Left(
        dispatched=words[mark.DISPATCHED_AT],
        last_seq=words[mark.LAST_SEQ_AT],
        missed=words[mark.MISSED_AT],
        writing=cells.get(written),
        seconds={place: _counts(words, at=at, names=names, ids=ids) for at, place in cells.items()},
    )


@dataclass(slots=True)
class _Seen:
    outcomes: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, tuple[int, int, int]] = field(default_factory=dict)


class Tally:
    """Running sum of the snapshots that arrived, over as many seconds as the mark file keeps."""

    __slots__ = ("_newest", "_seconds", "seen")

    def __init__(self, timeout_s: float) -> None:
        self._seconds = mark.ring_slots(timeout_s)
        self._newest = 0
        self.seen: dict[Place, _Seen] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Count a snapshot's cells (those of JUDGED and WARMUP); each snapshot once."""
        for cell in snapshot.cells:
            if cell.group in (JUDGED, WARMUP):
                self._newest = max(self._newest, cell.second)
                self._add(cell)
        oldest = self._newest - self._seconds
        for place in [place for place in self.seen if place[0] < oldest]:
            del self.seen[place]

    def cells(self) -> list[Cell]:
        """Everything counted so far; adding these to an empty tally makes this one again."""
        return [
            Cell(
                second,
                group,
                dict(seen.outcomes),
                {name: BoundCount(*sums) for name, sums in seen.bounds.items()},
                {},
            )
            for (second, group), seen in self.seen.items()
        ]

    def _add(self, cell: Cell) -> None:
        seen = self.seen.setdefault((cell.second, cell.group), _Seen())
        for outcome, count in cell.outcomes.items():
            seen.outcomes[outcome] = seen.outcomes.get(outcome, 0) + count
        for name, bound in cell.bounds.items():
            n, over, less = seen.bounds.get(name, (0, 0, 0))
            seen.bounds[name] = (n + bound.n, over + bound.over, less + bound.over_less_delay)


def closing_snapshot(
    left: Left, tally: Tally, *, activity: str, shard: int, attempt: str, at_s: float, seq: int
) -> Snapshot:
    """The final snapshot of an engine that died: everything that `tally` had not seen.

    Requests that ended but were not reported keep their outcome; sent ones whose end nobody saw are
    `abandoned`; handed ones that never left are `unsent_generator`. A request killed in the very act of being
    written is counted nowhere: whether it left is unknown. Sketches and tag groups of the rest are gone.
    """
    cells = [
        cell
        for place, counts in sorted(left.seconds.items())
        if (cell := _closing(place, counts, left, tally))
    ]
    lost = sum(sum(cell.outcomes.values()) for cell in cells)
    warnings = (
        [f"the engine died: {lost} requests of its last moments are counted without times or tags"]
        if lost
        else []
    )
    if left.writing:
        warnings.append("the engine died while writing a request: one arrival may or may not have been sent")
    if left.missed:
        warnings.append(f"{left.missed} counts came later than the watermark file keeps and are missing")
    return Snapshot(
        activity=activity,
        shard=shard,
        attempt=attempt,
        seq=seq,
        at_s=at_s,
        dispatched=left.dispatched,
        sent=0,
        in_flight=[],
        cells=cells,
        warnings=warnings,
        final=True,
    )


def _closing(place: Place, counts: Counts, left: Left, tally: Tally) -> Cell | None:
    seen = tally.seen.get(place, _Seen())
    outcomes = {name: count - seen.outcomes.get(name, 0) for name, count in counts.outcomes.items()}
    decided = sum(counts.outcomes.values())
    # killed between two stores an outcome may be counted while its `never_sent` is not yet
    abandoned = max(counts.sent - (decided - counts.never_sent), 0)
    unknown = int(left.writing == place)
    outcomes[ABANDONED] = outcomes.get(ABANDONED, 0) + abandoned
    unsent = max(counts.handed - decided - abandoned - unknown, 0)
    outcomes[UNSENT_GENERATOR] = outcomes.get(UNSENT_GENERATOR, 0) + unsent
    bounds = {}
    for name, (n, over, less) in counts.bounds.items():
        seen_n, seen_over, seen_less = seen.bounds.get(name, (0, 0, 0))
        if n > seen_n:
            bounds[name] = BoundCount(n - seen_n, max(over - seen_over, 0), max(less - seen_less, 0))
    outcomes = {name: count for name, count in outcomes.items() if count > 0}
    return Cell(place[0], place[1], outcomes, bounds, {}) if outcomes or bounds else None


def _names(raw: bytes, used: int) -> list[str]:
    start = mark.NAMES_AT * mark.WORD
    cut = [raw[start + at * mark.NAME_BYTES : start + (at + 1) * mark.NAME_BYTES] for at in range(used)]
    return [name.rstrip(b"\0").decode("utf-8", "replace") for name in cut]


def _cells(words: tuple[int, ...]) -> Iterator[tuple[int, Place]]:
    width = words[mark.WIDTH_AT]
    for slot in range(words[mark.RING_AT], len(words) - width + 1, width):
        if words[slot]:
            yield slot + 1, (words[slot] - 1, JUDGED)
            yield slot + 1 + (width - 1) // 2, (words[slot] - 1, WARMUP)


def _counts(words: tuple[int, ...], *, at: int, names: list[str], ids: list[str]) -> Counts:
    outcomes: Mapping[str, int] = {
        name: words[at + mark.OUTCOME_0 + place] for place, name in enumerate(names)
    }
    first = at + mark.BOUND_0
    bounds = {
        name: (words[first + 3 * k], words[first + 3 * k + 1], words[first + 3 * k + 2])
        for k, name in enumerate(ids)
    }
    return Counts(
        handed=words[at + mark.HANDED],
        sent=words[at + mark.SENT],
        never_sent=words[at + mark.NEVER_SENT],
        outcomes=dict(outcomes),
        bounds=bounds,
    )
