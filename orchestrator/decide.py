"""What the leader does next: `decide(state, plan, seen, now) -> actions`, pure.

Called again and again with what the journal, the fleet and the snapshots say; every action is once-only by
its fact's id or idempotent, so a restart, a standby or a repeated call does no harm.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.actions import Action, Finish, Judge, Say, Send, Tell
from orchestrator.eligible import ANYTHING_GOES, Rules
from orchestrator.facts import Attempt, Phase, State
from orchestrator.losses import heard_since_loss, losses, revocations, silent_after
from orchestrator.placement import Assignment, Want, place_again, place_phase
from orchestrator.plan import ActivityPlan, PhasePlan, Plan
from workers.contract import control
from workers.contract import facts as f
from workers.contract.halts import Press
from workers.contract.spec import attempt_id

START_MARGIN_S = 0.15
"""Between the last `ready` and second 0: orders must reach every worker (0.02 s here), engines must wake."""
RESUME_MARGIN_S = 0.1
NUMBERS_WITHIN_S = 15.0
"""How long a phase waits for the last snapshots of an attempt that is over; what is missing then is a gap."""
MOST_ATTEMPTS = 20
"""Attempts at one shard; a shard that dies this often is the test's own fault and lowers coverage."""
STILL_STARTING = "the worker was still starting it, a sign of a busy host"
"""Of an attempt whose worker has not asked the target yet."""
RETRIED = frozenset({"load", "soak", "regression", "search", "telemetry"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the leader knows beside the journal.

    `fleet`: cards of live workers. `rules`: what every worker must meet. `busy`: engine slots taken by other
    campaigns; `held_by`: worker -> ids of these campaigns. `leases`: attempt ->
    common time of its last renewal. `seqs`: attempt -> last snapshot folded without a hole. `rows_done`:
    activity -> golden rows already judged. `breach`: why an `abort_if` holds, or "". `halted`: the red
    button, where it ends this campaign. `leading_since_s`: since when leases can be trusted.
    """

    fleet: tuple[f.WorkerCard, ...] = ()
    rules: Rules = ANYTHING_GOES
    busy: Mapping[str, int] = field(default_factory=dict)
    held_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leases: Mapping[str, float] = field(default_factory=dict)
    seqs: Mapping[str, int] = field(default_factory=dict)
    rows_done: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    breach: str = ""
    halted: Press | None = None
    leading_since_s: float = 0.0


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
        now_s=now_s,
    )
    actions: list[Action] = [*revocations(state), *lost]
    name = state.current_phase()
    if state.aborting is None:
        why = _reason_to_abort(state, plan, seen, now_s)
        if why is not None:
            return (*actions, Say("aborting", why))
    else:
        actions.extend(_stops(state))
    if name is not None:
        actions.extend(_in_phase(state, plan, plan.phase(name), seen, now_s))
    elif state.aborting is not None:
        actions.append(Finish())
    else:
        actions.append(_next_phase(state, plan, now_s))
    return tuple(actions)


def _next_phase(state: State, plan: Plan, now_s: float) -> Action:
    """Open the next phase, skip it, or end the campaign."""
    for phase in plan.phases:
        if phase.name in state.phases:
            continue
        for needed in phase.requires:
            before = state.phases.get(needed, Phase())
            if before.skipped_because or before.verdict in ("fail", "invalid"):
                how = "was skipped" if before.skipped_because else f"ended with {before.verdict}"
                why = f"requires {needed}, which {how}"
                return Say(
                    f"phase:{phase.name}:skipped", f.PhaseSkipped(phase=phase.name, why=why, at_s=now_s)
                )
        return Say(f"phase:{phase.name}:opened", f.PhaseOpened(phase=phase.name, at_s=now_s))
    return Finish()


def _in_phase(state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float) -> Iterator[Action]:
    """Place, start, hand over and close the open phase."""
    started = state.phases[phase.name].start_s is not None
    if state.aborting is None:
        yield from _placements(state, plan, phase, seen, now_s)
        yield from (Send(attempt.id) for attempt in _live(state, phase) if attempt.status == "placed")
        if started:
            yield from _starts(state, phase, now_s)
        elif _all_ready(state, phase):
            start = f.PhaseStarted(phase=phase.name, start_s=now_s + START_MARGIN_S, at_s=now_s)
            yield Say(f"phase:{phase.name}:started", start)
    if _over(state, phase, now_s) and _numbers_in(state, phase, seen, now_s):
        yield Judge(phase.name)


def _live(state: State, phase: PhasePlan) -> list[Attempt]:
    return [attempt for attempt in state.attempts.values() if attempt.phase == phase.name and attempt.live]


def _placements(state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float) -> Iterator[Say]:
    """Say where shards run: all of a phase at first, later each that has lost its place."""
    busy = Counter(seen.busy) + slots_held(state, plan)
    fleet = heard_since_loss(state, seen.fleet)
    fresh = [activity for activity in phase.activities if (activity.key, 0) not in state.shards]
    if fresh:
        placement = place_phase(fresh, fleet, busy=busy, seed=plan.seed, rules=seen.rules)
        yield from (_placed(state, phase, seen, assignment, now_s) for assignment in placement.assignments)
        return
    for activity in phase.activities:
        wants = list(_wants(state, activity, now_s))
        if wants:
            for assignment in place_again(
                activity, wants, fleet, busy=busy, seed=plan.seed, rules=seen.rules
            ):
                if activity.needs_engine:
                    busy[assignment.worker] += 1
                yield _placed(state, phase, seen, assignment, now_s)


def slots_held(state: State, plan: Plan) -> Counter[str]:
    """Engine slots that a campaign's live attempts hold, by worker."""
    live = (one for one in state.attempts.values() if one.live)
    return Counter(one.worker for one in live if plan.activity(one.activity).needs_engine)


def _wants(state: State, activity: ActivityPlan, now_s: float) -> Iterator[Want]:
    """Shards of an activity whose work is not done and that nobody works at."""
    first = state.last_attempt(activity.key, 0)
    if first is None:
        return
    newest = [state.last_attempt(activity.key, shard) for shard in range(first.of)]
    taken = frozenset(one.host for one in newest if one is not None and one.live)
    for shard, last in enumerate(newest):
        if last is None:
            yield Want(activity.key, shard, first.of, taken=taken)
        elif _may_go_on(state, activity, last, now_s):
            ids = state.shards[activity.key, shard]
            avoid = frozenset(state.attempts[id_].worker for id_ in ids)
            yield Want(activity.key, shard, first.of, avoid, host=last.host, taken=taken)


def _may_go_on(state: State, activity: ActivityPlan, last: Attempt, now_s: float) -> bool:
    """Whether a shard whose last attempt is over still has work that another attempt could do."""
    if last.live or (last.exited is not None and last.exited.outcome == "done"):
        return False
    if last.number >= MOST_ATTEMPTS:
        return False
    start_s = state.phases[last.phase].start_s
    if start_s is None:
        return True
    if activity.kind not in RETRIED:
        return False
    return activity.arrivals is None or now_s < start_s + activity.duration_s - RESUME_MARGIN_S


def _placed(state: State, phase: PhasePlan, seen: Seen, assignment: Assignment, now_s: float) -> Say:
    number = len(state.shards.get((assignment.activity, assignment.shard), ())) + 1
    id_ = attempt_id(assignment.activity, assignment.shard, number)
    fact = f.Placed(
        attempt=id_,
        phase=phase.name,
        activity=assignment.activity,
        shard=assignment.shard,
        of=assignment.of,
        number=number,
        worker=assignment.worker,
        incarnation=assignment.incarnation,
        host=assignment.host,
        skip_rows=seen.rows_done.get(assignment.activity, ()) if number > 1 else (),
        at_s=now_s,
    )
    return Say(f"{id_}:placed", fact)


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


def _starts(state: State, phase: PhasePlan, now_s: float) -> Iterator[Action]:
    """Start orders for running attempts; successors that are ready get their first arrival."""
    start_s = state.phases[phase.name].start_s
    assert start_s is not None  # noqa: S101  # callers ask only once the phase has started
    for attempt in _live(state, phase):
        if attempt.status == "ready":
            from_s = max(now_s + RESUME_MARGIN_S, silent_after(state, attempt)) - start_s
            yield Say(f"{attempt.id}:resumed", f.Resumed(attempt=attempt.id, from_s=from_s, at_s=now_s))
        elif attempt.status == "running" and attempt.from_s is not None:
            order = control.Start(
                campaign=_campaign(state), attempt=attempt.id, start_s=start_s, from_s=attempt.from_s
            )
            yield Tell(attempt.worker, order)


def _stops(state: State) -> Iterator[Tell]:
    """Stop orders for everything that may still work."""
    assert state.aborting is not None  # noqa: S101
    for attempt in state.attempts.values():
        if attempt.live:
            order = control.Stop(campaign=_campaign(state), attempt=attempt.id, why=state.aborting.why)
            yield Tell(attempt.worker, order)


def _reason_to_abort(state: State, plan: Plan, seen: Seen, now_s: float) -> f.Aborting | None:
    """Why the campaign must stop now: a person, a halt, a breach, its time, or a phase that cannot begin."""
    if state.abort_asked is not None:
        asked = state.abort_asked
        why = f"aborted by {asked.by}" + (f": {asked.why}" if asked.why else "")
        return f.Aborting(by=asked.by, why=why, verdict="aborted", at_s=now_s)
    if seen.halted is not None:
        return f.Aborting(by=seen.halted.by, why=seen.halted.words(), verdict="aborted", at_s=now_s)
    if seen.breach:
        return f.Aborting(by="abort_if", why=seen.breach, verdict="fail", at_s=now_s)
    name = state.current_phase()
    if state.submitted is not None and 0 < state.submitted.max_time_s < now_s - state.submitted.at_s:
        where = f"in phase {name}" if name is not None else "between phases"
        why = f"stopped by --max-time {_span(state.submitted.max_time_s)}, {where}"
        return f.Aborting(by="max-time", why=why, verdict="invalid", at_s=now_s)
    if name is None:
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
    attempts = [attempt for attempt in state.attempts.values() if attempt.phase == phase.name]
    for attempt in attempts:
        if attempt.exited is not None and attempt.exited.outcome in ("refused", "error"):
            return f"phase {phase.name}: {_which(attempt, plan)}: {attempt.exited.why}"
    for activity in phase.activities:
        prints = {a.fingerprint for a in attempts if a.activity == activity.key and a.status == "ready"}
        if len(prints) > 1:
            said = "; ".join(f"schedule {print_} under numpy {numpy}" for print_, numpy in sorted(prints))
            return f"phase {phase.name}: workers disagree about the schedule of {activity.key}: {said}"
    if now_s - so_far.opened_s <= plan.place_within_s:
        return ""
    unmet = _unmet(state, plan, phase, seen) or ["its workers were lost before they were ready"]
    return f"phase {phase.name} could not begin within {plan.place_within_s:g} s: " + "; ".join(unmet)


def _unmet(state: State, plan: Plan, phase: PhasePlan, seen: Seen) -> list[str]:
    """What a phase that did not begin was waiting for."""
    waiting = [
        f"{_which(attempt, plan)}: {attempt.not_ready or STILL_STARTING}"
        for attempt in _live(state, phase)
        if attempt.status != "ready"
    ]
    if waiting:
        return sorted(set(waiting))
    placement = place_phase(
        phase.activities,
        seen.fleet,
        busy=seen.busy,
        seed=plan.seed,
        rules=seen.rules,
        held_by=seen.held_by,
    )
    return list(placement.unmet)


def waits_for(state: State, plan: Plan, seen: Seen, now_s: float) -> tuple[str, ...]:
    """What keeps shards of the open phase from a place, for those who watch; empty where all have one."""
    name = state.current_phase()
    if name is None or state.aborting is not None:
        return ()
    phase = plan.phase(name)
    if all((activity.key, 0) not in state.shards for activity in phase.activities):
        return tuple(_unmet(state, plan, phase, seen))
    missing = ((activity, sum(1 for _ in _wants(state, activity, now_s))) for activity in phase.activities)
    return tuple(
        f"{activity.key}: {count} {'shard' if count == 1 else 'shards'} without a place: "
        "no worker that fits is free"
        for activity, count in missing
        if count
    )


def _which(attempt: Attempt, plan: Plan) -> str:
    target = plan.activity(attempt.activity).target
    return f"{attempt.activity} on worker {attempt.worker}{f', target {target}' if target else ''}"


def _over(state: State, phase: PhasePlan, now_s: float) -> bool:
    """Whether nothing of the phase works or will work any more, lost attempts' fences included."""
    if state.aborting is None and any((activity.key, 0) not in state.shards for activity in phase.activities):
        return False
    for attempt in state.attempts.values():
        if attempt.phase != phase.name:
            continue
        if attempt.live or (attempt.lost is not None and now_s < attempt.lost.fence_s):
            return False
    if state.aborting is not None:
        return True
    return not any(any(True for _ in _wants(state, activity, now_s)) for activity in phase.activities)


def _numbers_in(state: State, phase: PhasePlan, seen: Seen, now_s: float) -> bool:
    """Whether the last snapshot of every attempt that said its number is folded, or was waited for."""
    for attempt in state.attempts.values():
        if attempt.phase != phase.name or attempt.exited is None:
            continue
        missing = seen.seqs.get(attempt.id, 0) < attempt.exited.last_seq
        if missing and now_s - attempt.exited.at_s < NUMBERS_WITHIN_S:
            return False
    return True


def _campaign(state: State) -> str:
    assert state.submitted is not None  # noqa: S101
    return state.submitted.campaign
