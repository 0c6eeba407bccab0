"""What the leader does next: `decide(state, plan, seen, now) -> actions`, pure.

Called again and again with what the journal, the fleet and the snapshots say; every action is once-only by
its fact's id or idempotent, so a restart, a standby or a repeated call does no harm.
"""

from collections.abc import Iterable, Iterator

from orchestrator.decide.actions import Action, Finish, Judge, Say, Send, Tell
from orchestrator.decide.gates import asks, at_gate, next_phase, refused_at_gate, skip_reason
from orchestrator.decide.handover import done_before, free_from_s, handovers
from orchestrator.decide.losses import losses, revocations
from orchestrator.decide.placing import MOST_ATTEMPTS, RESUME_MARGIN_S, placements, unmet, wants, which
from orchestrator.decide.rehearsal import rehearse
from orchestrator.decide.seen import Seen
from orchestrator.decide.stations import (
    are_stationed,
    missing_proxies,
    proxy_orders,
    refused_proxy,
    stationing,
)
from orchestrator.decide.torn import is_unheard, may_work_unseen, torn
from orchestrator.decide.watches import is_watched, watch_places, watch_stops
from orchestrator.facts import Attempt, State
from orchestrator.plan import PhasePlan, Plan
from workers.contract import control
from workers.contract import facts as f
from workers.contract.spec import is_watch

START_MARGIN_S = 0.15
"""Between the last `ready` and second 0: orders must reach every worker (0.02 s here), engines must wake."""
START_MARGIN_PER_SHARD_S = 0.0005
"""Each is an order more to sign and give: a thousand take 0.1 s here, three times that on a busy machine."""
NUMBERS_WITHIN_S = 15.0
"""How long a phase waits for the last snapshots of an attempt that is over; what is missing then is a gap.

While Redis was away nobody could send any: then it counts from its return.
"""


def decide(state: State, plan: Plan, seen: Seen, now_s: float) -> tuple[Action, ...]:
    """Everything that should be done now, in order.

    A fact said may make the rest moot, so callers fold and ask again.
    """
    if state.submitted is None or state.ended is not None:
        return ()
    lost = losses(
        state,
        plan,
        fleet=seen.fleet,
        leases=seen.leases,
        leading_since_s=seen.leading_since_s,
        server_since_s=seen.server_since_s,
        now_s=now_s,
    )
    actions: list[Action] = [*revocations(state), *lost]
    name = state.current_phase()
    if state.aborting is None:
        why = _reason_to_abort(state, plan, seen, now_s)
        if why is not None:
            return (*actions, Say("aborting", why))
        if now_s < seen.settles_s:
            return tuple(actions)
        actions.extend(proxy_orders(state, plan, seen, now_s))
    else:
        actions.extend(_stops(state))
    if state.phases or not seen.queued:
        actions.extend(asks(state, plan, now_s))
    if name is not None and plan.gameday is not None and plan.gameday.tabletop:
        actions.extend(rehearse(state, plan.phase(name), now_s))
    elif name is not None:
        actions.extend(_in_phase(state, plan, plan.phase(name), seen, now_s))
    elif state.aborting is not None:
        actions.extend(() if may_work_unseen(state, plan, now_s) else (Finish(),))
    elif state.phases or not seen.queued:
        actions.extend(_next_phase(state, plan, now_s))
    return tuple(actions)


def _next_phase(state: State, plan: Plan, now_s: float) -> tuple[Action, ...]:
    """Open the next phase, skip it, wait at its gate, or end the campaign."""
    phase = next_phase(state, plan)
    if phase is None:
        return (Finish(),)
    why = skip_reason(state, phase)
    if why:
        skipped = f.PhaseSkipped(phase=phase.name, why=why, at_s=now_s)
        return (Say(f"phase:{phase.name}:skipped", skipped),)
    waits = at_gate(state, plan, phase, now_s)
    if waits is not None:
        return waits
    return (Say(f"phase:{phase.name}:opened", f.PhaseOpened(phase=phase.name, at_s=now_s)),)


def _in_phase(state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float) -> Iterator[Action]:
    """Place, start, hand over and close the open phase."""
    start_s = state.phases[phase.name].start_s
    if state.aborting is None and not are_stationed(state, plan):
        yield from stationing(state, plan, seen, now_s)
    elif state.aborting is None:
        yield from placements(state, plan, phase, seen, now_s)
        if phase.watch is not None and not _work_is_over(state, plan, phase, seen, now_s):
            yield from watch_places(state, plan, phase, seen, now_s)
        live = state.live_in(phase.name)
        yield from (Send(attempt.id) for attempt in live if attempt.status == "placed")
        if start_s is not None:
            yield from handovers(state, live, seen=seen, start_s=start_s, now_s=now_s)
            yield from _starts(state, live, start_s=start_s, now_s=now_s)
            yield from _withhold(state, phase, seen, now_s)
        elif (
            _all_ready(state, phase)
            and not any(is_unheard(attempt, seen) for attempt in live)
            and is_watched(state, plan, phase, now_s)
            and not missing_proxies(state, plan, phase, seen)
        ):
            margin_s = max(START_MARGIN_S, START_MARGIN_PER_SHARD_S * len(live))
            start = f.PhaseStarted(phase=phase.name, start_s=now_s + margin_s, at_s=now_s)
            yield Say(f"phase:{phase.name}:started", start)
    if _work_is_over(state, plan, phase, seen, now_s):
        yield from watch_stops(state, phase)
        if not state.live_in(phase.name) and _numbers_in(state, phase, seen, now_s):
            yield Judge(phase.name)


def _all_ready(state: State, phase: PhasePlan) -> bool:
    """Whether every shard of every activity has an attempt that waits for the start."""
    for activity in phase.activities:
        attempt = state.last_attempt(activity.key, 0)
        if attempt is None:
            return False
        for shard in range(attempt.of):
            last = state.last_attempt(activity.key, shard)
            if last is None or last.status != "ready":
                return False
    return True


def _starts(state: State, live: Iterable[Attempt], *, start_s: float, now_s: float) -> Iterator[Action]:
    """Start orders for running attempts; successors get their first arrival, or nothing where all is done."""
    for attempt in live:
        if attempt.from_s is None and (done := done_before(state, attempt)) is not None:
            why = f"{done.id} on worker {done.worker} did all the work itself"
            yield Tell(attempt.worker, control.Stop(campaign=state.campaign, attempt=attempt.id, why=why))
        elif attempt.status == "ready":
            free_s = free_from_s(state, attempt)
            if free_s is not None:
                from_s = max(now_s + RESUME_MARGIN_S - start_s, free_s)
                yield Say(f"{attempt.id}:resumed", f.Resumed(attempt=attempt.id, from_s=from_s, at_s=now_s))
        elif attempt.status == "running" and attempt.from_s is not None:
            order = control.Start(
                campaign=state.campaign, attempt=attempt.id, start_s=start_s, from_s=attempt.from_s
            )
            yield Tell(attempt.worker, order)


def _withhold(state: State, phase: PhasePlan, seen: Seen, now_s: float) -> Iterator[Action]:
    """No fault where the traffic is not steady: said once, then an order to each that waits for its time."""
    why = state.phases[phase.name].withheld
    if not why and seen.unsteady:
        withheld = f.FaultsWithheld(phase=phase.name, why=seen.unsteady, at_s=now_s)
        yield Say(f"phase:{phase.name}:withheld", withheld)
    if why:
        keys = {one.key for one in phase.activities if one.kind == "chaos"}
        for attempt in state.live_in(phase.name):
            if attempt.activity in keys:
                order = control.Stop(campaign=state.campaign, attempt=attempt.id, why=f"withheld: {why}")
                yield Tell(attempt.worker, order)


def _stops(state: State) -> Iterator[Tell]:
    """Stop orders for everything that may still work."""
    assert state.aborting is not None  # noqa: S101
    for attempt in state.live.values():
        order = control.Stop(campaign=state.campaign, attempt=attempt.id, why=state.aborting.why)
        yield Tell(attempt.worker, order)


def _reason_to_abort(state: State, plan: Plan, seen: Seen, now_s: float) -> f.Aborting | None:
    """Why the campaign must stop now: a person, a halt, a breach, its time, or a phase that cannot begin."""
    if state.abort_asked is not None:
        asked = state.abort_asked
        why = f"aborted by {asked.by}" + (f": {asked.why}" if asked.why else "")
        return f.Aborting(by=asked.by, why=why, verdict="aborted", at_s=now_s, key=asked.key)
    if seen.halted is not None:
        halt = seen.halted
        return f.Aborting(by=halt.by, why=halt.words(), verdict="aborted", at_s=now_s, key=halt.key)
    if seen.breach:
        return f.Aborting(by="abort_if", why=seen.breach, verdict="fail", at_s=now_s)
    if unproved := torn(state, seen):
        return f.Aborting(by="shakeout", why=unproved, verdict="invalid", at_s=now_s, torn=True)
    name = state.current_phase()
    if state.submitted is not None and 0 < state.submitted.max_time_s < now_s - state.submitted.at_s:
        before = f"before it began: {seen.queued}" if seen.queued and not state.phases else "between phases"
        where = f"in phase {name}" if name is not None else before
        why = f"stopped by --max-time {_span(state.submitted.max_time_s)}, {where}"
        return f.Aborting(by="max-time", why=why, verdict="invalid", at_s=now_s)
    refused = refused_at_gate(state, plan, now_s) if state.phases or not seen.queued else None
    if refused is not None or name is None:
        return refused
    if plan.gameday is not None and plan.gameday.tabletop:
        return None
    why = _cannot_begin(state, plan, plan.phase(name), seen, now_s)
    return f.Aborting(by="shakeout", why=why, verdict="invalid", at_s=now_s) if why else None


def _span(value_s: float) -> str:
    """A duration as campaign files write it: 600 s are 10m."""
    for unit, unit_s in (("h", 3600), ("m", 60)):
        if value_s >= unit_s and not value_s % unit_s:
            return f"{value_s / unit_s:g}{unit}"
    return f"{value_s:g}s"


def _cannot_begin(state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float) -> str:
    """Why an open phase that has not started never will; empty while it still may."""
    so_far = state.phases[phase.name]
    if so_far.start_s is not None or so_far.opened_s is None:
        return ""
    own = (attempt for attempt in state.attempts.values() if attempt.phase == phase.name)
    attempts = [attempt for attempt in own if not is_watch(attempt.activity)]
    for attempt in attempts:
        if attempt.exited is not None and attempt.exited.outcome in ("refused", "error"):
            return f"phase {phase.name}: {which(attempt, plan)}: {attempt.exited.why}"
    worn_out = next((one for one in attempts if one.number >= MOST_ATTEMPTS and not one.live), None)
    if worn_out is not None:
        return f"phase {phase.name}: {MOST_ATTEMPTS} attempts failed, the last was {_how(worn_out, plan)}"
    for activity in phase.activities:
        prints = {a.fingerprint for a in attempts if a.activity == activity.key and a.status == "ready"}
        if len(prints) > 1:
            said = "; ".join(f"schedule {print_} under numpy {numpy}" for print_, numpy in sorted(prints))
            return f"phase {phase.name}: workers disagree about the schedule of {activity.key}: {said}"
    if why := refused_proxy(state, plan, phase, seen):
        return f"phase {phase.name}: {why}"
    if now_s - max(so_far.opened_s, seen.settles_s) <= plan.place_within_s:
        return ""
    ended = sorted({_how(attempt, plan) for attempt in attempts if not attempt.live})
    without = missing_proxies(state, plan, phase, seen) or unmet(state, plan, phase, seen) or ended
    waited = "; ".join(without or ["nobody was ready"])
    return f"phase {phase.name} could not begin within {plan.place_within_s:g} s: {waited}"


def _how(attempt: Attempt, plan: Plan) -> str:
    """Whose an attempt was that is over, and why it is."""
    fact = attempt.exited or attempt.lost
    return f"{which(attempt, plan)}: {fact.why if fact is not None else ''}"


def _work_is_over(state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float) -> bool:
    """Whether nothing of the phase but its watch works or will work again; lost attempts have fences."""
    if state.aborting is None and any((activity.key, 0) not in state.shards for activity in phase.activities):
        return False
    for attempt in state.attempts.values():
        if attempt.phase != phase.name or is_watch(attempt.activity):
            continue
        if attempt.live or (attempt.lost is not None and now_s < attempt.lost.fence_s):
            return False
    if state.aborting is not None:
        return not may_work_unseen(state, plan, now_s)
    return not any(any(True for _ in wants(state, plan, one, seen, now_s)) for one in phase.activities)


def _numbers_in(state: State, phase: PhasePlan, seen: Seen, now_s: float) -> bool:
    """Whether the last snapshot of every attempt that said its number is folded, or was waited for."""
    for attempt in state.attempts.values():
        if attempt.phase != phase.name or attempt.exited is None:
            continue
        missing = seen.seqs.get(attempt.id, 0) < attempt.exited.last_seq
        if missing and now_s - max(attempt.exited.at_s, seen.leading_since_s) < NUMBERS_WITHIN_S:
            return False
    return True
