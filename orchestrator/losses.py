"""Attempts that are lost, until when they may have sent, and which workers are not to be trusted. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.actions import Lose, Revoke
from orchestrator.facts import Attempt, State
from orchestrator.plan import Plan
from workers.contract import facts as f
from workers.contract.names import CLAIM_WITHIN_S, FENCE_MARGIN_S, LEASE_S


def losses(
    state: State,
    plan: Plan,
    *,
    fleet: Sequence[f.WorkerCard],
    leases: Mapping[str, float],
    leading_since_s: float,
    now_s: float,
) -> Iterator[Lose]:
    """Attempts that nobody claimed in time, or whose lease ran out.

    Nobody is judged before this leader has led for a whole lease.
    """
    alive = {(card.worker, card.incarnation) for card in fleet}
    trusted = now_s - leading_since_s > LEASE_S
    for attempt in state.attempts.values():
        if not attempt.live or not trusted:
            continue
        renewed_s = leases.get(attempt.id)
        if attempt.status == "placed" and renewed_s is None:
            gone = (attempt.worker, attempt.incarnation) not in alive and now_s - attempt.placed_s > LEASE_S
            if gone or now_s - attempt.placed_s > CLAIM_WITHIN_S:
                why = f"worker {attempt.worker} {'is gone' if gone else 'did not claim it in time'}"
                yield Lose(attempt.id, None, f.Lost(attempt=attempt.id, fence_s=0.0, why=why, at_s=now_s))
            continue
        seen_s = attempt.placed_s if renewed_s is None else renewed_s
        if now_s - seen_s > LEASE_S:
            why = f"no sign of worker {attempt.worker} for {now_s - seen_s:.1f} s"
            # a lease that is gone proves nothing: it may have been renewed until this moment
            last_s = now_s if renewed_s is None else renewed_s
            fence_s = last_s + plan.fence_s + FENCE_MARGIN_S if attempt.from_s is not None else 0.0
            fact = f.Lost(attempt=attempt.id, fence_s=fence_s, why=why, at_s=now_s)
            yield Lose(attempt.id, renewed_s, fact)


def revocations(state: State) -> Iterator[Revoke]:
    """Lost attempts: nobody may claim or renew them any more."""
    return (Revoke(attempt.id) for attempt in state.attempts.values() if attempt.lost is not None)


def silent_after(state: State, attempt: Attempt) -> float:
    """Common time after which no earlier attempt at this shard can send any more."""
    ids = state.shards[attempt.activity, attempt.shard]
    fences = [0.0]
    for id_ in ids[: ids.index(attempt.id)]:
        before = state.attempts[id_]
        if before.lost is not None:
            fences.append(before.lost.fence_s)
        elif before.exited is not None:
            fences.append(before.exited.silent_s)
    return max(fences)


def heard_since_loss(state: State, fleet: Sequence[f.WorkerCard]) -> tuple[f.WorkerCard, ...]:
    """The workers of the fleet that said something after an attempt of theirs was lost.

    A card lives a little longer than a lease: without this a shard would go back to the worker that died.
    """
    lost_s: dict[str, float] = {}
    for attempt in state.attempts.values():
        if attempt.lost is not None:
            lost_s[attempt.incarnation] = max(lost_s.get(attempt.incarnation, 0.0), attempt.lost.at_s)
    return tuple(card for card in fleet if card.seen_s >= lost_s.get(card.incarnation, 0.0))
