"""Where every scheduled arrival went: sent and seen, unsent, or unknown. Pure.

scheduled = ok + failed + unsent + unknown, by construction and checked: what the snapshots do not account
for is unknown, never assumed. Source: the hand-over rule of DESIGN.md section 2.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
from msgspec import structs

from orchestrator.aggregate.own_arrivals import ALL, Ask, Asking, answer_all
from orchestrator.aggregate.totals import ActivityTotals, AttemptSeen
from orchestrator.facts import Attempt
from workers.contract.schedule import Block, ClosedArrivals, OpenArrivals, arrivals_between, per_second
from workers.contract.snapshot import JUDGED, UNSENT_GENERATOR, WARMUP


@dataclass(frozen=True, slots=True)
class Gap:
    """Arrivals of one shard that were not observed, with why; times in seconds since the phase's start."""

    shard: int
    attempt: str
    from_s: float
    until_s: float
    unknown: int
    unsent: int
    why: str


@dataclass(slots=True)
class Account:
    """Counts by second of intended time and group: scheduled, unknown, unsent by the generator.

    And every gap.
    """

    scheduled: Counter[tuple[str, int]] = field(default_factory=Counter)
    unknown: Counter[tuple[str, int]] = field(default_factory=Counter)
    unsent: Counter[tuple[str, int]] = field(default_factory=Counter)
    gaps: list[Gap] = field(default_factory=list)
    twice: int = 0

    def latest(self) -> tuple[str, int]:
        """The judged second that stands for all of which nobody knows the second: the last that is known."""
        return JUDGED, max((second for _, second in self.scheduled), default=0)

    def miss(self, key: tuple[str, int], *, unknown: int = 0, unsent: int = 0) -> None:
        """Add arrivals that nobody observed."""
        if unknown or unsent:
            self.scheduled[key] += unknown + unsent
            self.unknown[key] += unknown
            self.unsent[key] += unsent


def account_open(
    arrivals: OpenArrivals,
    *,
    warmup_s: float,
    start_s: float,
    shards: Sequence[Sequence[Attempt]],
    totals: ActivityTotals,
    ends_with_data: bool = False,
) -> Account:
    """Account for every arrival of an open-loop activity whose phase is over.

    `start_s`: common time of the phase's second 0. `shards`: for each shard its attempts in order.
    `ends_with_data`: the rows are not repeated, so that a shard may be done before its schedule is.
    """
    account = Account()
    _schedule(account, arrivals, warmup_s)
    _all_gaps(account, arrivals, totals, shards=shards, warmup_s=warmup_s, start_s=start_s)
    if ends_with_data:
        own = [_Shard(arrivals.duration_s, warmup_s, start_s, shard) for shard in range(len(shards))]
        not_due = (_not_due(account, one, attempts) for one, attempts in zip(own, shards, strict=True))
        answer_all(arrivals, of=len(shards), askings=not_due)
    _settle(account, totals)
    return account


def with_unseen(account: Account) -> Account:
    """The same where engines were at work of which nobody knows: what seems unsent they may have sent."""
    gaps = [replace(gap, unknown=gap.unknown + gap.unsent, unsent=0) for gap in account.gaps]
    unknown = account.unknown + account.unsent
    return replace(account, unknown=unknown, unsent=Counter(), gaps=gaps)


def account_sessions(
    arrivals: OpenArrivals | ClosedArrivals,
    *,
    turns: int,
    warmup_s: float,
    start_s: float,
    shards: Sequence[Sequence[Attempt]],
    totals: ActivityTotals,
) -> Account:
    """Account for conversations: a first turn is due by the schedule, each later one by the answer before it.

    So what was begun is counted when it began. Beside it stand first turns that a lost engine left behind;
    turns that were handed out and never seen to end, which are unknown; and of each conversation that was
    between two turns when its engine stopped the next turn, the rest of it being due only then. Where nobody
    saw the engine's end, its conversations may have gone on to their last turns.
    """
    account = Account()
    for (group, second), row in totals.seconds.items():
        if group in (JUDGED, WARMUP):
            account.scheduled[group, second] += row.outcomes.total()
            if isinstance(arrivals, OpenArrivals):  # of closed loops the report adds them
                account.unsent[group, second] += row.outcomes[UNSENT_GENERATOR]
    last = account.latest()
    offered = sum(seen.offered for seen in totals.attempts.values())
    account.miss(last, unknown=max(0, offered - account.scheduled.total()))
    further = turns - 1 if isinstance(arrivals, OpenArrivals) else 1
    for attempt in (one for attempts in shards for one in attempts):
        _cut(account, last, attempt, totals.attempts.get(attempt.id, AttemptSeen()), further)
    if isinstance(arrivals, OpenArrivals):
        lost = Account()
        firsts = _firsts(totals, turns)
        by_turns = [[_first_turns(one, turns) for one in attempts] for attempts in shards]
        _all_gaps(lost, arrivals, firsts, shards=by_turns, warmup_s=warmup_s, start_s=start_s)
        account.scheduled += lost.unknown + lost.unsent
        account.unknown += lost.unknown
        account.unsent += lost.unsent
        account.gaps += lost.gaps
        account.miss(last, unknown=further * lost.unknown.total())
    return account


def _cut(account: Account, key: tuple[str, int], attempt: Attempt, seen: AttemptSeen, further: int) -> None:
    """The next turns of the conversations that an attempt left between two turns.

    Where nobody saw its end, `further` turns of each may have been sent up to its fence, also of those that
    had a turn in flight.
    """
    waiting, end = seen.waiting, attempt.known_end
    if attempt.exited is not None and attempt.exited.outcome == "done":
        return
    unsent = waiting if end is not None else 0
    unknown = further * (waiting + len(seen.in_flight)) if end is None else 0
    if unsent or unknown:
        account.miss(key, unknown=unknown, unsent=unsent)
        why = f"{waiting} conversations were cut off between two turns"
        at_s = float(key[1])
        account.gaps.append(Gap(attempt.shard, attempt.id, at_s, at_s, unknown, unsent, why))


def _first_turns(attempt: Attempt, turns: int) -> Attempt:
    """The attempt with its place in the schedule, which counts conversations, not their turns."""
    if attempt.exited is None:
        return attempt
    return replace(
        attempt, exited=structs.replace(attempt.exited, dispatched=-(-attempt.exited.dispatched // turns))
    )


def _firsts(totals: ActivityTotals, turns: int) -> ActivityTotals:
    """How far attempts were by conversations; those in flight are accounted for with all other turns."""
    attempts = {
        id_: replace(seen, dispatched=-(-seen.dispatched // turns), in_flight=())
        for id_, seen in totals.attempts.items()
    }
    return ActivityTotals(attempts=attempts)


def _schedule(account: Account, arrivals: OpenArrivals, warmup_s: float) -> None:
    counts = per_second(arrivals)
    edge = int(warmup_s)
    for second in np.flatnonzero(counts).tolist():
        account.scheduled[WARMUP if second < edge else JUDGED, second] = int(counts[second])
    if warmup_s > edge and edge < len(counts):
        # a warm-up that ends inside a second splits it
        block = arrivals_between(arrivals, shard=0, of=1, from_index=0, until_ns=round((edge + 1) * 1e9))
        early = int(np.count_nonzero((block.times_ns >= edge * 10**9) & (block.times_ns < warmup_s * 1e9)))
        account.scheduled[WARMUP, edge] = early
        account.scheduled[JUDGED, edge] = int(counts[edge]) - early


@dataclass(frozen=True, slots=True)
class _Shard:
    """One shard's part of the schedule, which ends at `duration_s`."""

    duration_s: float
    warmup_s: float
    start_s: float
    shard: int

    def between(self, *, from_index: int, from_s: float, until_s: float, below_index: int = ALL) -> Ask:
        """Asks for own arrivals with `from_index` ≤ index < `below_index` and time in [from_s, until_s)."""
        return Ask(self.shard, from_index, below_index, round(from_s * 1e9), round(until_s * 1e9))


def _all_gaps(
    account: Account,
    arrivals: OpenArrivals,
    totals: ActivityTotals,
    *,
    shards: Sequence[Sequence[Attempt]],
    warmup_s: float,
    start_s: float,
) -> None:
    """Gaps of all shards, in the shards' order."""
    asking = (
        _gaps(account, _Shard(arrivals.duration_s, warmup_s, start_s, shard), attempts, totals)
        for shard, attempts in enumerate(shards)
    )
    answer_all(arrivals, of=len(shards), askings=asking)
    account.gaps.sort(key=lambda gap: gap.shard)


def _gaps(account: Account, own: _Shard, attempts: Sequence[Attempt], totals: ActivityTotals) -> Asking:
    """Gaps of one shard.

    Before its first attempt, and after each that did not finish until the next one's start.
    """
    started = [attempt for attempt in attempts if attempt.from_s is not None]
    end_s = own.duration_s
    first_s = end_s if not started else started[0].from_s or 0.0
    if first_s:
        block = yield own.between(from_index=0, from_s=0.0, until_s=first_s)
        _add(account.unsent, block, own.warmup_s)
        if len(block.indices):
            account.gaps.append(Gap(own.shard, "", 0.0, first_s, 0, len(block.indices), "nobody had begun"))
    for attempt, successor in zip_longest(started, started[1:]):
        if attempt.exited is None or attempt.exited.outcome != "done":
            until_s = end_s if successor is None else successor.from_s or 0.0
            seen = totals.attempts.get(attempt.id, AttemptSeen())
            yield from _gap_after(account, own, attempt, seen, until_s)


def _not_due(account: Account, own: _Shard, attempts: Sequence[Attempt]) -> Asking:
    """Take out of the schedule what a shard that did all its work had no rows for."""
    started = [one for one in attempts if one.from_s is not None]  # one ready to take over may not be needed
    last = started[-1] if started else None
    if last is None or last.exited is None or last.exited.outcome != "done":
        return
    block = yield own.between(
        from_index=last.exited.dispatched, from_s=last.from_s or 0.0, until_s=own.duration_s
    )
    beyond: Counter[tuple[str, int]] = Counter()
    _add(beyond, block, own.warmup_s)
    account.scheduled -= beyond


def _gap_after(account: Account, own: _Shard, attempt: Attempt, seen: AttemptSeen, until_s: float) -> Asking:
    """What an attempt that did not finish left: unknown up to its fence, unsent from there on."""
    dispatched, fence_ns, why = seen.dispatched, 0.0, ""
    unknown = 0
    if attempt.exited is not None:
        # witnessed: where its last counts were found too, what it did is known to the last arrival
        dispatched, why = max(dispatched, attempt.exited.dispatched), attempt.exited.why
        if not attempt.exited.known:
            fence_ns = (attempt.exited.silent_s - own.start_s) * 1e9
            unknown = yield from _in_flight(account, own, seen)
    if attempt.witnessed is not None:
        # told later than it was given up: what of it came too late to count is what is left over, unknown
        dispatched, why = max(dispatched, attempt.witnessed.dispatched), attempt.witnessed.why
        why = f"{attempt.lost.why} ({why})" if attempt.lost is not None and why else why
    elif attempt.lost is not None:
        fence_ns, why = (attempt.lost.fence_s - own.start_s) * 1e9, attempt.lost.why
        unknown = yield from _in_flight(account, own, seen)
    block = yield own.between(from_index=dispatched, from_s=attempt.from_s or 0.0, until_s=until_s)
    maybe = block.times_ns < fence_ns
    _add(account.unknown, _only(block, maybe), own.warmup_s)
    _add(account.unsent, _only(block, ~maybe), own.warmup_s)
    unknown += int(np.count_nonzero(maybe))
    unsent = len(block.indices) - int(np.count_nonzero(maybe))
    if unknown or unsent:
        begins_s = float(block.times_ns[0]) / 1e9 if len(block.times_ns) else until_s
        account.gaps.append(Gap(own.shard, attempt.id, begins_s, until_s, unknown, unsent, why))


def _in_flight(account: Account, own: _Shard, seen: AttemptSeen) -> Generator[Ask, Block, int]:
    """Requests that a lost attempt had in flight when it was last heard of.

    Perhaps sent, never seen to end.
    """
    below = [index for index in seen.in_flight if index < seen.dispatched]
    if not below:
        return 0
    block = yield own.between(
        from_index=min(below), below_index=max(below) + 1, from_s=0.0, until_s=own.duration_s
    )
    mine = _only(block, np.isin(block.indices, below))
    _add(account.unknown, mine, own.warmup_s)
    return len(mine.indices)


def _only(block: Block, keep: npt.NDArray[np.bool_]) -> Block:
    return Block(block.indices[keep], block.times_ns[keep])


def _add(counter: Counter[tuple[str, int]], block: Block, warmup_s: float) -> None:
    early = block.times_ns < warmup_s * 1e9
    for group, mine in ((WARMUP, early), (JUDGED, ~early)):
        seconds, counts = np.unique(block.times_ns[mine] // 10**9, return_counts=True)
        for second, count in zip(seconds.tolist(), counts.tolist(), strict=True):
            counter[group, second] += count


def _settle(account: Account, totals: ActivityTotals) -> None:
    """Whatever is scheduled and nowhere accounted for is unknown; whatever is accounted for twice is said."""
    counted = [key for key in totals.seconds if key[0] in (JUDGED, WARMUP)]
    for key in dict.fromkeys([*account.scheduled, *counted]):
        scheduled = account.scheduled[key]
        row = totals.seconds.get(key)
        seen = sum(row.outcomes.values()) if row is not None else 0
        if row is not None:
            account.unsent[key] += row.outcomes.get(UNSENT_GENERATOR, 0)
            seen -= row.outcomes.get(UNSENT_GENERATOR, 0)
        rest = scheduled - seen - account.unknown[key] - account.unsent[key]
        if rest > 0:
            account.unknown[key] += rest
        elif rest < 0:
            # an arrival called unknown whose answer came after all is known
            known = min(account.unknown[key], -rest)
            account.unknown[key] -= known
            account.twice += -rest - known
