"""Parts: what was folded between two checkpoints, written to the runs URL before the streams are trimmed.

A part holds deltas that add up, so a coordinator that starts again reads the parts that the last checkpoint
names and stands where the last one stood.
"""

from collections.abc import Iterable

import msgspec

from orchestrator.aggregate.totals import ActivityTotals, Aggregate, AttemptSeen
from workers.contract.sketch import EMPTY, to_wire
from workers.contract.snapshot import CaseResult, Cell, ErrorExample, Snapshot


class AttemptMark(msgspec.Struct, array_like=True):
    """What the last folded snapshot of an attempt said."""

    attempt: str
    seq: int
    dispatched: int
    most_sent: int
    in_flight: list[int]
    start_lag_s: float | None
    holes: int
    busy_share: float
    offered: int = 0
    waiting: int = 0
    at_s: float = 0.0


class ActivityPart(msgspec.Struct, array_like=True):
    """Deltas of one activity since the checkpoint before, and where its attempts stood."""

    activity: str
    delta: Snapshot
    attempts: list[AttemptMark]


class Part(msgspec.Struct, array_like=True):
    """One interval of a campaign."""

    activities: list[ActivityPart]


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Part).decode


def encode_part(interval: Aggregate) -> bytes:
    """Everything folded in one interval, in msgpack."""
    return _ENCODE(Part([_activity_part(key, totals) for key, totals in interval.activities.items()]))


def _activity_part(key: str, totals: ActivityTotals) -> ActivityPart:
    cells: list[Cell] = [
        row.cell(second=second, group=group) for (group, second), row in sorted(totals.seconds.items())
    ]
    cases: list[CaseResult] = list(totals.cases.values())
    examples: list[ErrorExample] = totals.examples
    delta = Snapshot(
        activity=key,
        shard=0,
        attempt="",
        seq=0,
        at_s=0.0,
        dispatched=0,
        sent=0,
        in_flight=[],
        cells=cells,
        running=dict(totals.running),
        completions=dict(totals.completions),
        hub_delay=to_wire(totals.hub_delay) if totals.hub_delay is not EMPTY else None,
        cases=cases,
        examples=examples,
        warnings=totals.warnings,
        slowest=totals.slowest,
        sampled=totals.sampled,
        retries=totals.retries,
        sessions=totals.sessions,
    )
    marks = [
        AttemptMark(
            attempt,
            seen.seq,
            seen.dispatched,
            seen.most_sent,
            list(seen.in_flight),
            seen.start_lag_s,
            seen.holes,
            seen.busy_share,
            seen.offered,
            seen.waiting,
            seen.at_s,
        )
        for attempt, seen in totals.attempts.items()
    ]
    return ActivityPart(key, delta, marks)


def restore(parts: Iterable[bytes]) -> Aggregate:
    """The aggregate that the parts, in order, add up to."""
    whole = Aggregate()
    for body in parts:
        for part in _DECODE(body).activities:
            totals = whole.of(part.activity)
            totals.add(part.delta)
            for mark in part.attempts:
                before = totals.attempts.get(mark.attempt, AttemptSeen())
                totals.attempts[mark.attempt] = _after(before, mark)
    return whole


def _after(before: AttemptSeen, mark: AttemptMark) -> AttemptSeen:
    """Where an attempt stood after one more interval.

    An interval counts its holes from 0, so the numbers of the intervals before are among them.
    """
    return AttemptSeen(
        seq=mark.seq,
        dispatched=mark.dispatched,
        in_flight=tuple(mark.in_flight),
        most_sent=max(before.most_sent, mark.most_sent),
        start_lag_s=mark.start_lag_s if before.start_lag_s is None else before.start_lag_s,
        holes=before.holes + mark.holes - before.seq,
        busy_share=max(before.busy_share, mark.busy_share),
        offered=mark.offered,
        waiting=mark.waiting,
        at_s=mark.at_s,
    )
