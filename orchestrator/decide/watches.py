"""Who watches the open phase: placed beside it on any worker, and again if that one is lost.

It ends with the traffic. Nothing waits long for it; nothing fails by it but the claims that need it. Pure.
"""

from collections.abc import Iterator

from orchestrator.decide.actions import Say, Tell
from orchestrator.decide.handover import staying
from orchestrator.decide.losses import heard_since_loss
from orchestrator.decide.placing import MOST_ATTEMPTS, has_rested, placed, tries_of
from orchestrator.decide.seen import Seen
from orchestrator.facts import State
from orchestrator.placement.eligible import select
from orchestrator.placement.placement import Assignment, Want
from orchestrator.plan import PhasePlan, Plan
from workers.contract import control
from workers.contract.broker.names import WEBHOOK_LABEL
from workers.contract.spec import is_watch

READY_WITHIN_S = 10.0
"""From its opening a phase waits for it no longer: a task takes some 0.1 s, three tries a lease each."""
OVER = "the phase's traffic is over"


def watch_places(state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float) -> Iterator[Say]:
    """Say where the watch runs, unless it runs; on a worker with a webhook rather than on others."""
    watch = phase.watch
    if watch is None or any((activity.key, 0) not in state.shards for activity in phase.activities):
        return
    last = state.last_attempt(watch.key, 0)
    tries = tries_of(state, last) if last is not None else []
    if (last is not None and last.live) or len(tries) >= MOST_ATTEMPTS:
        return
    if not has_rested(state, Want(watch.key, 0, 1), now_s):
        return
    fleet = staying(state, heard_since_loss(state, seen.fleet))
    able = select(watch.where, fleet, seed=plan.seed, activity=watch.key, rules=seen.rules)
    failed = [one.worker for one in tries]
    card = min(
        able,
        key=lambda card: (failed.count(card.worker), WEBHOOK_LABEL not in card.labels, card.worker),
        default=None,
    )
    if card is not None:
        assignment = Assignment(watch.key, 0, 1, card.worker, card.incarnation, card.host)
        yield placed(state, phase, seen, assignment, now_s)


def is_watched(state: State, plan: Plan, phase: PhasePlan, now_s: float) -> bool:
    """Whether the phase may begin as far as its watch goes: ready, waited for long enough, or not needed."""
    if phase.watch is None:
        return True
    last = state.last_attempt(phase.watch.key, 0)
    opened_s = state.phases[phase.name].opened_s or 0.0
    # a phase that must begin sooner than that begins without
    within_s = min(READY_WITHIN_S, plan.place_within_s / 2)
    return (last is not None and last.status == "ready") or now_s - opened_s > within_s


def watch_stops(state: State, phase: PhasePlan) -> Iterator[Tell]:
    """The order to end, once there is no more traffic."""
    assert state.submitted is not None  # noqa: S101  # nothing is placed before
    for attempt in state.live_in(phase.name):
        if is_watch(attempt.activity):
            order = control.Stop(campaign=state.submitted.campaign, attempt=attempt.id, why=OVER)
            yield Tell(attempt.worker, order)
