"""A shard that changes hands: who gives it up from when on, and from when on its successor may take it. Pure.

Of a worker that drains, the old attempt goes on until a successor is ready elsewhere. Then the leader names a
moment a little ahead; the old attempt promises to begin nothing intended then or later (`Yielded`), and only
this promise, or the proof that the old attempt is silent, lets the successor begin. So whatever is lost, late
or said twice in between, no arrival is authorised for two attempts: at worst there is a gap, which is stated.
"""

from collections.abc import Iterable, Iterator

from orchestrator.decide.actions import Action, Say, Tell
from orchestrator.decide.seen import Seen
from orchestrator.facts import Attempt, State
from workers.contract import control
from workers.contract import facts as f

AHEAD_S = 0.3
"""From the leader's word to the moment that it names: by then the word must have reached an engine, and the
engine's promise the leader, or the successor begins as much later."""


def handovers(
    state: State, live: Iterable[Attempt], *, seen: Seen, start_s: float, now_s: float
) -> Iterator[Action]:
    """Name the moment for attempts that drain and whose successor is ready, and order them to yield there."""
    for attempt in live:
        if not attempt.draining or attempt.status != "running" or attempt.yielded:
            continue
        if attempt.until_s is not None:
            order = control.HandOver(campaign=state.campaign, attempt=attempt.id, until_s=attempt.until_s)
            yield Tell(attempt.worker, order)
        elif _is_awaited(state, attempt, seen):
            until_s = round(now_s + AHEAD_S - start_s, 6)
            fact = f.HandedOver(attempt=attempt.id, until_s=until_s, at_s=now_s)
            yield Say(f"{attempt.id}:handed-over", fact)


def free_from_s(state: State, attempt: Attempt) -> float | None:
    """Seconds since the phase's start from which nobody before takes arrivals; None while one may take any.

    Each is bounded by its promise, by its end as witnessed, or by its fence, whichever comes first. A promise
    is kept as it was said: to common time and back again it would be rounded, and arrivals lie close.
    """
    start_s = state.phases[attempt.phase].start_s or 0.0
    free_s = 0.0
    for before in _before(state, attempt):
        bounds = []
        if before.yielded and before.until_s is not None:
            bounds.append(before.until_s)
        if before.lost is not None:
            bounds.append(before.lost.fence_s - start_s)
        elif before.exited is not None:
            bounds.append(before.exited.silent_s - start_s)
        if not bounds:
            return None
        free_s = max(free_s, min(bounds))
    return free_s


def done_before(state: State, attempt: Attempt) -> Attempt | None:
    """The earlier attempt that has done all the shard's work; what is placed after it has nothing to do."""
    return next((one for one in _before(state, attempt) if is_done(one)), None)


def is_done(attempt: Attempt) -> bool:
    """Whether it did all that there was to do."""
    return attempt.exited is not None and attempt.exited.outcome == "done"


def staying(state: State, fleet: Iterable[f.WorkerCard]) -> tuple[f.WorkerCard, ...]:
    """The workers of the fleet but those that said of an attempt that they drain: a card is a second late."""
    leaving = {(one.worker, one.incarnation) for one in state.live.values() if one.draining}
    return tuple(card for card in fleet if (card.worker, card.incarnation) not in leaving)


def _before(state: State, attempt: Attempt) -> Iterator[Attempt]:
    ids = state.shards[attempt.activity, attempt.shard]
    return (state.attempts[id_] for id_ in ids[: ids.index(attempt.id)])


def _is_awaited(state: State, attempt: Attempt, seen: Seen) -> bool:
    """Whether its successor is ready, on a worker that is there to take it."""
    last = state.last_attempt(attempt.activity, attempt.shard)
    if last is None or last.id == attempt.id or last.status != "ready":
        return False
    there = (last.worker, last.incarnation)
    return any((card.worker, card.incarnation) == there and not card.draining for card in seen.fleet)
