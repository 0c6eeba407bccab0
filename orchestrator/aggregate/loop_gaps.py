"""When the users of a closed loop were silent, because their engine was gone. Pure."""

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from orchestrator.aggregate.accounting import Gap
from orchestrator.facts import Attempt
from workers.contract.schedule import ClosedArrivals
from workers.contract.spec import share


def loop_gaps(
    arrivals: ClosedArrivals, *, start_s: float, shards: Sequence[Sequence[Attempt]]
) -> Iterator[Gap]:
    """A gap for each attempt that did not last to the end, until its users went on elsewhere.

    How many requests they would have sent nobody knows, so no number is told of them. `start_s`: common time
    of the phase's second 0.
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


def _end_of(attempt: Attempt, start_s: float) -> tuple[float | None, str]:
    """The common time from which an attempt began nothing more, and why; None where it did all its work."""
    if attempt.exited is not None and attempt.exited.outcome != "done":
        until_s = start_s + attempt.until_s if attempt.yielded and attempt.until_s is not None else math.inf
        return min(attempt.exited.silent_s, until_s), attempt.exited.why
    if attempt.lost is not None:
        return attempt.lost.fence_s, attempt.lost.why
    return None, ""
