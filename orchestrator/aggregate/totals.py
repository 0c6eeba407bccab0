"""Folding snapshots: what every activity has measured so far, by group and second of intended time.

Sums only, so the order of snapshots does not matter; a repeat is dropped by its number, a hole is counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from orchestrator.aggregate.behaviour import with_retries, with_sessions
from workers.contract.bounds import BoundCount, add_counts
from workers.contract.sketch import (
    EMPTY,
    Sketch,
    SketchWire,
    from_wire,
    merge,
    merge_all,
    merge_wires,
    to_wire,
)
from workers.contract.slowest import slowest_of
from workers.contract.snapshot import (
    ENDPOINT_GROUP,
    MOST_ENDPOINTS,
    TOO_MANY_ENDPOINTS,
    CaseResult,
    Cell,
    ErrorExample,
    RetryCounts,
    SessionCounts,
    SlowRequest,
    Snapshot,
)

MOST_EXAMPLES = 50
"""Failed requests kept as examples, an activity."""
MOST_WARNINGS = 20
FINE_FOR_S = 900
"""Sketches are kept by second for this long, then merged to `COARSE_S`; counts stay by second."""
COARSE_S = 10
NEAR_FAULT_S = 60


@dataclass(slots=True)
class Totals:
    """Everything counted in one second of one group."""

    outcomes: Counter[str] = field(default_factory=Counter)
    bounds: dict[str, BoundCount] = field(default_factory=dict)
    sketches: dict[str, Sketch] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    ok_without_tokens: int = 0

    def add(self, cell: Cell) -> None:
        """Add a snapshot's deltas."""
        self.count(cell)
        for quantity, wire in cell.sketches.items():
            self.sketches[quantity] = merge(self.sketches.get(quantity, EMPTY), from_wire(wire))

    def count(self, cell: Cell) -> None:
        """Add a snapshot's counts, and leave its sketches out."""
        for outcome, number in cell.outcomes.items():  # Counter.update takes five times as long for so few
            self.outcomes[outcome] += number
        for id_, count in cell.bounds.items():
            known = self.bounds.get(id_)
            self.bounds[id_] = count if known is None else add_counts(known, count)
        self.input_tokens += cell.input_tokens
        self.output_tokens += cell.output_tokens
        self.ok_without_tokens += cell.ok_without_tokens

    def cell(self, *, second: int, group: str) -> Cell:
        """These totals as one cell, for a part on disk."""
        sketches = {quantity: to_wire(sketch) for quantity, sketch in self.sketches.items()}
        return Cell(
            second,
            group,
            dict(self.outcomes),
            dict(self.bounds),
            sketches,
            self.input_tokens,
            self.output_tokens,
            self.ok_without_tokens,
        )


@dataclass(slots=True)
class AttemptSeen:
    """What the snapshots of one attempt said last; `holes`: numbers that never came.

    `at_s`: when the last came, in common time. `most_sent`: between two of them, at the most. Of
    conversations, `offered`: turns handed out so far, `waiting`: those between two turns.
    """

    seq: int = 0
    dispatched: int = 0
    in_flight: tuple[int, ...] = ()
    most_sent: int = 0
    start_lag_s: float | None = None
    holes: int = 0
    busy_share: float = 0.0
    offered: int = 0
    waiting: int = 0
    at_s: float = 0.0


@dataclass(slots=True)
class ActivityTotals:
    """All snapshots of one activity, added up.

    `seconds`: (group, second) -> totals, of an endpoint all in second 0, for a night of fifty would take
    gigabytes; `by_group`: outcomes over all of a group's seconds. `running`: highest number in flight by
    second, summed over shards. `cases`: golden row -> the first result that came.
    """

    seconds: dict[tuple[str, int], Totals] = field(default_factory=dict)
    by_group: dict[str, Counter[str]] = field(default_factory=dict)
    running: Counter[int] = field(default_factory=Counter)
    completions: Counter[int] = field(default_factory=Counter)
    hub_delay: Sketch = EMPTY
    cases: dict[int, CaseResult] = field(default_factory=dict)
    examples: list[ErrorExample] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    attempts: dict[str, AttemptSeen] = field(default_factory=dict)
    late: int = 0
    slowest: list[SlowRequest] = field(default_factory=list)
    sampled: int = 0
    retries: RetryCounts | None = None
    sessions: SessionCounts | None = None

    def absorb(self, snapshot: Snapshot) -> bool:
        """Fold one snapshot in; False for a repeat."""
        if not self.note(snapshot):
            return False
        self.add(snapshot)
        return True

    def note(self, snapshot: Snapshot) -> bool:
        """Note how far an attempt is; False for a repeat, which must not be added."""
        seen = self.attempts.get(snapshot.attempt)
        if seen is None:
            seen = self.attempts[snapshot.attempt] = AttemptSeen()
        if snapshot.seq <= seen.seq:
            return False
        seen.holes += snapshot.seq - seen.seq - 1
        seen.seq = snapshot.seq
        seen.dispatched, seen.at_s = snapshot.dispatched, snapshot.at_s
        seen.in_flight = tuple(snapshot.in_flight)
        seen.most_sent = max(seen.most_sent, snapshot.sent)
        if not snapshot.final or snapshot.seq == 1:  # the last one may tell of a moment that is all work
            seen.busy_share = max(seen.busy_share, snapshot.busy_share)
        if snapshot.sessions is not None:
            seen.offered, seen.waiting = snapshot.sessions.offered, snapshot.sessions.waiting
        if seen.start_lag_s is None:
            seen.start_lag_s = snapshot.start_lag_s
        return True

    def bounded(self, delta: Snapshot) -> Snapshot:
        """The delta without endpoints beyond the first MOST_ENDPOINTS: each shard may name others."""
        told = {group for group in self.by_group if group.startswith(ENDPOINT_GROUP)}
        more = {cell.group: None for cell in delta.cells if cell.group.startswith(ENDPOINT_GROUP)}
        new = [group for group in more if group not in told]
        left_out = set(new[MOST_ENDPOINTS - len(told) :])
        if not left_out:
            return delta
        cells = [cell for cell in delta.cells if cell.group not in left_out]
        warnings = [*delta.warnings, TOO_MANY_ENDPOINTS]
        return msgspec.structs.replace(delta, cells=cells, warnings=warnings)

    def add(self, delta: Snapshot) -> None:
        """Add everything that adds up."""
        for cell in delta.cells:
            second = 0 if cell.group.startswith(ENDPOINT_GROUP) else cell.second
            self.seconds.setdefault((cell.group, second), Totals()).add(cell)
            self.by_group.setdefault(cell.group, Counter()).update(cell.outcomes)
        self.running.update(delta.running)
        self.completions.update(delta.completions)
        if delta.hub_delay is not None:
            self.hub_delay = merge(self.hub_delay, from_wire(delta.hub_delay))
        for case in delta.cases:
            self.cases.setdefault(case.row, case)
        known = {(one.outcome, one.text) for one in self.examples}
        fresh = {(one.outcome, one.text): one for one in delta.examples}
        new = [one for said, one in fresh.items() if said not in known]
        self.examples.extend(new[: MOST_EXAMPLES - len(self.examples)])
        for warning in delta.warnings:
            self.warn(warning)
        if delta.slowest:
            self.slowest = slowest_of((*self.slowest, *delta.slowest))
        self.sampled += delta.sampled
        self.retries = with_retries(self.retries, delta.retries)
        self.sessions = with_sessions(self.sessions, delta.sessions)

    def warn(self, warning: str) -> None:
        """Keep a warning, once and within bounds."""
        if warning not in self.warnings and len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(warning)

    def group(self, name: str) -> dict[int, Totals]:
        """The seconds of one group, in order of time."""
        found = {second: totals for (group, second), totals in self.seconds.items() if group == name}
        return dict(sorted(found.items()))

    def grouped(self) -> dict[str, dict[int, Totals]]:
        """All groups with their seconds in order of time, in one pass."""
        found: dict[str, dict[int, Totals]] = {}
        for group, second in sorted(self.seconds):
            found.setdefault(group, {})[second] = self.seconds[group, second]
        return found

    def groups(self) -> tuple[str, ...]:
        """Names of all groups that occurred."""
        return tuple(dict.fromkeys(group for group, _ in self.seconds))

    def sketch(self, quantity: str, *, group: str = "") -> Sketch:
        """One quantity over the whole of a group."""
        return merge_all(totals.sketches.get(quantity, EMPTY) for totals in self.group(group).values())

    def outcomes(self, group: str = "") -> Counter[str]:
        """Outcomes over the whole of a group."""
        return Counter(self.by_group.get(group, Counter()))

    def coarsen(self, *, before_s: int, keep: tuple[tuple[float, float], ...]) -> None:
        """Merge sketches of seconds before `before_s` into blocks of 10 s.

        Except within 60 s of a span in `keep`.
        """
        fine = [
            (group, second, totals)
            for (group, second), totals in self.seconds.items()
            if totals.sketches and second < before_s and second % COARSE_S
        ]
        for group, second, totals in fine:
            first = second - second % COARSE_S
            if any(
                start - NEAR_FAULT_S < first + COARSE_S and first <= end + NEAR_FAULT_S for start, end in keep
            ):
                continue
            block = self.seconds.setdefault((group, first), Totals())
            for quantity, sketch in totals.sketches.items():
                block.sketches[quantity] = merge(block.sketches.get(quantity, EMPTY), sketch)
            totals.sketches = {}


@dataclass(slots=True)
class Aggregate:
    """All activities of one campaign."""

    activities: dict[str, ActivityTotals] = field(default_factory=dict)

    def of(self, activity: str) -> ActivityTotals:
        """The totals of one activity; empty ones where nothing came yet."""
        found = self.activities.get(activity)
        if found is None:  # setdefault would make one at every call
            found = self.activities[activity] = ActivityTotals()
        return found

    def absorb(self, snapshot: Snapshot) -> bool:
        """Fold one snapshot in; False for a repeat."""
        return self.of(snapshot.activity).absorb(snapshot)

    def seqs(self) -> dict[str, int]:
        """Attempt -> number of the last snapshot folded."""
        return {id_: seen.seq for totals in self.activities.values() for id_, seen in totals.attempts.items()}


def combined(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Snapshots of one activity as one delta: adding it adds them all, and each sketch is touched once.

    With 1,000 shards that is most of a leader's work.
    """
    if len(snapshots) == 1:
        return snapshots[0]
    cells: dict[tuple[str, int], list[Cell]] = {}
    for cell in (cell for snapshot in snapshots for cell in snapshot.cells):
        cells.setdefault((cell.group, cell.second), []).append(cell)
    whole = ActivityTotals()
    hub_delays: list[SketchWire] = []
    for snapshot in snapshots:
        if snapshot.hub_delay is not None:
            hub_delays.append(snapshot.hub_delay)
        whole.add(msgspec.structs.replace(snapshot, cells=[], hub_delay=None))
    return msgspec.structs.replace(
        snapshots[0],
        cells=[_one_cell(group) for group in cells.values()],
        running=dict(whole.running),
        completions=dict(whole.completions),
        hub_delay=to_wire(merge_wires(hub_delays)) if hub_delays else None,
        cases=list(whole.cases.values()),
        examples=whole.examples,
        warnings=whole.warnings,
        slowest=whole.slowest,
        sampled=whole.sampled,
        retries=whole.retries,
        sessions=whole.sessions,
    )


def _one_cell(cells: Sequence[Cell]) -> Cell:
    """Cells of one second and group as one."""
    if len(cells) == 1:
        return cells[0]
    row = Totals()
    wires: dict[str, list[SketchWire]] = {}
    for cell in cells:
        row.count(cell)
        for quantity, wire in cell.sketches.items():
            wires.setdefault(quantity, []).append(wire)
    row.sketches = {quantity: merge_wires(some) for quantity, some in wires.items()}
    return row.cell(second=cells[0].second, group=cells[0].group)
