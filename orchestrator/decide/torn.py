"""A journal that lacks its end: Redis forgot what was decided last, and no leader remembers it. Pure.

Then engines may work that nobody placed, or that nobody told to begin: to place and start anew would offer
their arrivals twice. So a leader that finds a campaign on a server which began after it, and has not lived
through that, lets nothing begin until every engine of before has been heard of or is silent; an attempt of
before waits for a word of its worker as well. Where one tells what the journal does not know, the campaign
ends.
"""

from orchestrator.decide.seen import Seen
from orchestrator.facts import Attempt, State
from orchestrator.plan import Plan
from workers.contract.broker.names import FENCE_MARGIN_S

TORN = (
    "Redis lost what was decided last, and no coordinator is left that remembers; what was sent since then "
    "cannot be told, submit it again"
)


def strangers(state: State) -> dict[str, str]:
    """Attempts that workers have claimed, and that nobody placed as far as the journal says -> worker."""
    return {id_: worker for id_, worker in state.strangers.items() if id_ not in state.attempts}


def torn(state: State, seen: Seen) -> str:
    """How it is seen that the end of the journal is missing; "" where nothing speaks for it."""
    for id_, worker in strangers(state).items():
        return f"worker {worker} has {id_}, which nobody placed: {TORN}"
    for one in state.attempts.values() if seen.settles_s else ():
        if one.from_s is None and one.placed_s < seen.settles_s and _has_begun(one, state, seen):
            return f"worker {one.worker} has begun {one.id}, and nobody told it to: {TORN}"
    return ""


def is_unheard(attempt: Attempt, seen: Seen) -> bool:
    """Whether its worker, who may know more of it than the journal, has not been heard of on this server."""
    return attempt.placed_s < seen.settles_s and seen.leases.get(attempt.id, 0.0) < seen.server_since_s


def may_work_unseen(state: State, plan: Plan, now_s: float) -> bool:
    """Whether engines that a torn journal does not know may still send: they have their fence."""
    stop = state.aborting
    return stop is not None and stop.torn and now_s < stop.at_s + plan.fence_s + FENCE_MARGIN_S


def _has_begun(attempt: Attempt, state: State, seen: Seen) -> bool:
    """Whether it did anything, as its worker or its engine said."""
    if any(step.what == "injected" for step in state.faults.get(attempt.id, ())):
        return True
    end = attempt.exited or attempt.witnessed
    if end is not None and end.dispatched >= attempt.of:
        return True
    if end is not None and end.outcome == "died":
        return False  # of one that died while it got ready a last snapshot comes too, which counts nothing
    return seen.seqs.get(attempt.id, 0) > 0
