"""Attempts that are lost, until when they may have sent, and which workers are not to be trusted. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.decide.actions import Lose, Revoke
from orchestrator.decide.torn import strangers
from orchestrator.facts import Attempt, State
from orchestrator.plan import Plan
from workers.contract import facts as f
from workers.contract.broker.names import CLAIM_WITHIN_S, FENCE_MARGIN_S, LEASE_S
from workers.contract.spec import is_watch

STOP_WITHIN_S = 30.0
"""After an order to stop: an engine has 5 s, its samples 20 s; a worker may also hang in a download, say."""
WATCH_STOPS_WITHIN_S = 60.0
"""After the end of what it watches: a source has 5 s to answer, silences are taken away, with retries."""
REVERTS_WITHIN_S = 120.0
"""After the last fault was due to end: commands take up to a minute, a revert is tried again for 20 s."""
STEP_WITHIN_S = 10.0
"""What a step of faults takes beside its own time: preparing, looking, reverting."""


def losses(
    state: State,
    plan: Plan,
    *,
    fleet: Sequence[f.WorkerCard],
    leases: Mapping[str, float],
    leading_since_s: float,
    now_s: float,
    server_since_s: float = 0.0,
) -> Iterator[Lose]:
    """Attempts that nobody claimed in time, whose lease ran out, or whose worker lives and gets nowhere.

    Nobody is judged before this leader has led for a whole lease. A lease from before `server_since_s` proves
    only that it was renewed then: a failover or restart may have forgotten later renewals.
    """
    alive = {(card.worker, card.incarnation) for card in fleet}
    trusted = now_s - leading_since_s > LEASE_S
    for attempt in state.live.values() if trusted else ():
        renewed_s = leases.get(attempt.id)
        if attempt.status == "placed" and renewed_s is None:
            gone = (attempt.worker, attempt.incarnation) not in alive and now_s - attempt.placed_s > LEASE_S
            if gone or now_s - attempt.placed_s > CLAIM_WITHIN_S:
                why = f"worker {attempt.worker} {'is gone' if gone else 'did not claim it in time'}"
                yield Lose(attempt.id, None, f.Lost(attempt=attempt.id, fence_s=0.0, why=why, at_s=now_s))
            continue
        seen_s = attempt.placed_s if renewed_s is None else renewed_s
        why = f"no sign of worker {attempt.worker} for {now_s - seen_s:.1f} s"
        if now_s - seen_s <= LEASE_S:
            why = _gets_nowhere(attempt, state, plan, heard_s=now_s - leading_since_s, now_s=now_s)
        if why:
            # a lease that is gone proves nothing: it may have been renewed until this moment
            last_s = now_s if renewed_s is None else max(renewed_s, server_since_s)
            fence_s = last_s + plan.fence_s + FENCE_MARGIN_S if attempt.from_s is not None else 0.0
            fact = f.Lost(attempt=attempt.id, fence_s=fence_s, why=why, at_s=now_s)
            yield Lose(attempt.id, renewed_s, fact)


def _gets_nowhere(attempt: Attempt, state: State, plan: Plan, *, heard_s: float, now_s: float) -> str:
    """Why an attempt is given up though its worker renews it; "" while it may take so long.

    `heard_s`: for how long it could have told this leader how it goes on.
    """
    if state.aborting is not None:
        late = min(now_s - state.aborting.at_s, heard_s) > STOP_WITHIN_S
        return f"worker {attempt.worker} did not stop it within {STOP_WITHIN_S:g} s" if late else ""
    idle_s = _idle_s(attempt, state, now_s) if is_watch(attempt.activity) else 0.0
    if min(idle_s, heard_s) > WATCH_STOPS_WITHIN_S:
        return f"worker {attempt.worker} did not end it within {WATCH_STOPS_WITHIN_S:g} s of the traffic"
    if (overdue_s := _overdue_s(attempt, state, plan, now_s)) > 0 and heard_s > STOP_WITHIN_S:
        return f"worker {attempt.worker} did not end it: {overdue_s:.0f} s more than its faults can take"
    prepares = attempt.from_s is None and attempt.status != "ready"
    if not prepares or state.phases[attempt.phase].start_s is None:
        return ""
    if min(now_s - attempt.placed_s, heard_s) <= plan.place_within_s:
        return ""
    waits = f": {attempt.not_ready}" if attempt.not_ready else ""
    return f"worker {attempt.worker} did not get it ready within {plan.place_within_s:g} s{waits}"


def _idle_s(watch: Attempt, state: State, now_s: float) -> float:
    """For how long nobody has worked at the phase of a watch; 0 where somebody does, or nobody has yet."""
    phase = [one for one in state.attempts.values() if one.phase == watch.phase and one.id != watch.id]
    ends = [end.at_s for one in phase if (end := one.exited or one.lost) is not None]
    if state.phases[watch.phase].start_s is None or any(one.live for one in phase):
        return 0.0
    return now_s - max(ends, default=now_s)


def _overdue_s(attempt: Attempt, state: State, plan: Plan, now_s: float) -> float:
    """For how long faults last beyond all that they can take; 0 for what does none, or has not begun."""
    activity, start_s = plan.activity(attempt.activity), state.phases[attempt.phase].start_s
    if not activity.steps or start_s is None:
        return 0.0
    takes_s = activity.at_s + activity.for_s + len(activity.steps) * STEP_WITHIN_S + REVERTS_WITHIN_S
    return max(0.0, now_s - start_s - takes_s)


def revocations(state: State) -> Iterator[Revoke]:
    """Lost attempts, and those that nobody placed: nobody may claim or renew them any more."""
    yield from (Revoke(attempt.id) for attempt in state.attempts.values() if attempt.lost is not None)
    if state.aborting is not None:
        yield from (Revoke(id_) for id_ in strangers(state))


def heard_since_loss(state: State, fleet: Sequence[f.WorkerCard]) -> tuple[f.WorkerCard, ...]:
    """The workers of the fleet that said something after an attempt of theirs was lost.

    A card lives a little longer than a lease: without this a shard would go back to the worker that died.
    """
    lost_s: dict[str, float] = {}
    for attempt in state.attempts.values():
        if attempt.lost is not None:
            lost_s[attempt.incarnation] = max(lost_s.get(attempt.incarnation, 0.0), attempt.lost.at_s)
    return tuple(card for card in fleet if card.seen_s >= lost_s.get(card.incarnation, 0.0))
