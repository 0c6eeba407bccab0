"""Account for work without a schedule: golden cases, and the users of a closed loop. Pure.

The promise is that of DESIGN.md section 2: reported sent ≤ the target's log ≤ reported sent + unknown.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from orchestrator.aggregate.accounting import Account, Gap
from orchestrator.aggregate.totals import ActivityTotals, AttemptSeen
from orchestrator.facts import Attempt
from workers.contract.schedule import ClosedArrivals
from workers.contract.snapshot import JUDGED, WARMUP
from workers.contract.spec import share

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CaseWork:
    """What golden cases ask for: `requests` in all, each case `repeats` times; none of other kinds."""

    requests: int = 0
    repeats: int = 1

    def own(self, attempt: Attempt) -> Indices:
        """Indices of the requests that an attempt was given, in the order in which it sends them."""
        cases = self.requests // self.repeats
        rows = np.arange(attempt.shard, cases, attempt.of, dtype=np.int64)
        rows = rows[~np.isin(rows, attempt.skip_rows)]
        return (np.arange(self.repeats, dtype=np.int64)[:, None] * cases + rows).ravel()


def account_cases(
    work: CaseWork, *, start_s: float, attempts: Sequence[Attempt], totals: ActivityTotals
) -> Account:
    """Account for the requests of golden cases, by the second in which they were begun.

    A case whose answer nobody saw is asked again, so there may be more requests than the cases ask for. An
    attempt of whose end nobody knows may have sent all that it was given. `start_s`: common time of the
    phase's second 0.
    """
    account = _begun(totals)
    possible = {one.id: _possible(work.own(one), one, totals) for one in attempts if one.from_s is not None}
    unknown = max(0, sum(len(some) for some in possible.values()) - account.scheduled.total())
    asked = np.unique(np.concatenate([np.empty(0, np.int64), *possible.values()]))
    account.miss(account.latest(), unknown=unknown, unsent=work.requests - len(asked))
    for one in attempts:
        seen = totals.attempts.get(one.id, AttemptSeen())
        if one.id in possible and one.known_end is None:
            after = np.count_nonzero(possible[one.id] >= seen.dispatched)
            before = sum(index < seen.dispatched for index in seen.in_flight)
            lost = min(unknown, int(after) + before)
            unknown -= lost
            if lost:
                gap = _unseen(one, seen, start_s=start_s)
                again = any(other.shard == one.shard and other.number > one.number for other in attempts)
                why = f"{gap.why}; its cases were asked again" if again else gap.why
                account.gaps.append(replace(gap, unknown=lost, why=why))
    return account


def account_loop(
    arrivals: ClosedArrivals, *, start_s: float, shards: Sequence[Sequence[Attempt]], totals: ActivityTotals
) -> Account:
    """Account for a closed loop, of which only what was begun is known.

    What was in flight when an attempt was last heard of is unknown. One of whose end nobody knows went on
    until its fence, at no more than the pace of the activity's busiest shard in its busiest second.
    """
    account = _begun(totals)
    in_flight = sum(len(seen.in_flight) for seen in totals.attempts.values())
    account.miss(account.latest(), unknown=in_flight)
    add_unheard(account, arrivals, start_s=start_s, shards=shards, totals=totals)
    return account


def add_unheard(
    account: Account,
    arrivals: ClosedArrivals,
    *,
    start_s: float,
    shards: Sequence[Sequence[Attempt]],
    totals: ActivityTotals,
) -> None:
    """Add what the users of a closed loop may have begun unheard, and when they were silent."""
    pace = 1 + max((seen.most_sent for seen in totals.attempts.values()), default=0)
    for one in (one for attempts in shards for one in attempts):
        if one.from_s is not None and one.known_end is None:
            seen = totals.attempts.get(one.id, AttemptSeen())
            gap = _unseen(one, seen, start_s=start_s, end_s=arrivals.duration_s)
            if unknown := math.ceil(pace * (gap.until_s - gap.from_s)):
                why = f"{gap.why}; until its fence it sent at the pace of the busiest second, or less"
                account.gaps.append(replace(gap, unknown=unknown, why=why))
                account.miss(account.latest(), unknown=unknown)
    account.gaps += loop_gaps(arrivals, start_s=start_s, shards=shards)


def loop_gaps(
    arrivals: ClosedArrivals, *, start_s: float, shards: Sequence[Sequence[Attempt]]
) -> Iterator[Gap]:
    """A gap for each attempt that did not last to the end, until its users went on elsewhere.

    How many requests they would have sent nobody knows, so no number is told of them.
    """
    for shard, attempts in enumerate(shards):
        started = [one for one in attempts if one.from_s is not None]
        for attempt, successor in zip_longest(started, started[1:]):
            ended_s, why = _end_of(attempt, start_s)
            if ended_s is None:
                continue
            until_s = arrivals.duration_s if successor is None else successor.from_s or 0.0
            from_s = min(max(0.0, ended_s - start_s), until_s)
            users = share(arrivals.users, shard, len(shards))
            if from_s < until_s:
                told = f"{users} users sent nothing: {why}"
                yield Gap(shard, attempt.id, from_s, until_s, 0, 0, told)


def _begun(totals: ActivityTotals) -> Account:
    account = Account()
    for (group, second), row in totals.seconds.items():
        if group in (JUDGED, WARMUP):
            account.scheduled[group, second] += row.outcomes.total()
    return account


def _possible(own: Indices, attempt: Attempt, totals: ActivityTotals) -> Indices:
    """What an attempt has sent, or may have."""
    end = attempt.known_end
    if end is None:
        return own
    seen = totals.attempts.get(attempt.id, AttemptSeen())
    return own[own < max(seen.dispatched, end.dispatched)]


def _unseen(attempt: Attempt, seen: AttemptSeen, *, start_s: float, end_s: float = math.inf) -> Gap:
    """From when an attempt was last heard of until it certainly sent nothing more, at the latest `end_s`."""
    fence_s, why = 0.0, ""
    if attempt.lost is not None:
        fence_s, why = attempt.lost.fence_s, attempt.lost.why
    elif attempt.exited is not None:
        fence_s, why = attempt.exited.silent_s, attempt.exited.why
    from_s = min(max(seen.at_s - start_s, attempt.from_s or 0.0), end_s)
    until_s = max(from_s, min(fence_s - start_s, end_s))
    return Gap(attempt.shard, attempt.id, from_s, until_s, 0, 0, why)


def _end_of(attempt: Attempt, start_s: float) -> tuple[float | None, str]:
    """The common time from which an attempt began nothing more, and why; None where it did all its work."""
    if attempt.exited is not None and attempt.exited.outcome != "done":
        until_s = start_s + attempt.until_s if attempt.yielded and attempt.until_s is not None else math.inf
        return min(attempt.exited.silent_s, until_s), attempt.exited.why
    if attempt.lost is not None:
        return attempt.lost.fence_s, attempt.lost.why
    return None, ""
