"""Which shards of the open phase want a place now, and the facts that give them one. Pure."""

from collections import Counter
from collections.abc import Iterator

from orchestrator.decide.actions import Say
from orchestrator.decide.handover import is_done, staying
from orchestrator.decide.losses import heard_since_loss
from orchestrator.decide.seen import Seen
from orchestrator.decide.stations import at_stations, missing_proxies
from orchestrator.facts import Attempt, State
from orchestrator.placement.placement import Assignment, Want, place_again, place_phase
from orchestrator.placement.spared import Occupied, occupied
from orchestrator.plan import ActivityPlan, PhasePlan, Plan
from workers.contract import facts as f
from workers.contract.spec import attempt_id, is_watch

RESUME_MARGIN_S = 0.1
"""Between an order and the first arrival that it is about."""
MOST_ATTEMPTS = 20
"""Attempts at one shard, hand-overs apart; one that dies so often is the test's own fault: less coverage."""
AT_ONCE = 3
"""Failed attempts at one shard after which the next follows at once; then it rests 1 s, 2 s, 4 s ..."""
LONGEST_REST_S = 30.0
"""With it 20 attempts last some minutes: what goes by in that time, a disk that is full say, is outlived."""
STILL_STARTING = "the worker was still starting it, a sign of a busy host"
"""Of an attempt whose worker has not asked the target yet."""
PROXIES_STAND_WITHIN_S = 3.0
"""A second on a quiet host; who watches is told of them only where they take longer."""
RETRIED = frozenset({"load", "soak", "regression", "search", "telemetry"})


def placements(state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float) -> Iterator[Say]:
    """Say where shards run: all of a phase at first, later each that has lost its place."""
    phase = at_stations(state, phase)
    busy = Counter(seen.busy) + slots_held(state, plan)
    fleet = staying(state, heard_since_loss(state, seen.fleet))
    fresh = [activity for activity in phase.activities if (activity.key, 0) not in state.shards]
    homeless = {} if fresh else _homeless_now(state, plan, phase, seen, now_s)
    if not fresh and not homeless:
        return
    beside = seen.beside | doing(state, plan)
    if fresh:
        placement = place_phase(fresh, fleet, busy=busy, seed=plan.seed, rules=seen.rules, beside=beside)
        yield from (placed(state, phase, seen, assignment, now_s) for assignment in placement.assignments)
    for activity in sorted(phase.activities, key=lambda one: one.apart):
        for assignment in place_again(
            activity,
            homeless.get(activity.key, ()),
            fleet,
            busy=busy,
            seed=plan.seed,
            rules=seen.rules,
            beside=beside,
        ):
            beside |= occupied([(activity, assignment.host)])
            if activity.needs_engine:
                busy[assignment.worker] += 1
            yield placed(state, phase, seen, assignment, now_s)


def _homeless_now(
    state: State, plan: Plan, phase: PhasePlan, seen: Seen, now_s: float
) -> dict[str, list[Want]]:
    """Shards that want a place at once, by activity."""
    found = {
        one.key: [want for want in wants(state, plan, one, seen, now_s) if has_rested(state, want, now_s)]
        for one in phase.activities
    }
    return {key: some for key, some in found.items() if some}


def slots_held(state: State, plan: Plan) -> Counter[str]:
    """Engine slots that a campaign's live attempts hold, by worker."""
    return Counter(one.worker for one, activity in _planned(state, plan) if activity.needs_engine)


def doing(state: State, plan: Plan, *, campaign: str = "") -> Occupied:
    """What a campaign's live attempts do on which hosts; `campaign`: its id, for others to read."""
    return occupied(((activity, one.host) for one, activity in _planned(state, plan)), campaign=campaign)


def _planned(state: State, plan: Plan) -> Iterator[tuple[Attempt, ActivityPlan]]:
    """Live attempts at what the plan has: other campaigns ask, and a broken journal must not break them."""
    live = state.live.values()
    return ((one, plan.activity(one.activity)) for one in live if plan.has(one.activity))


def wants(state: State, plan: Plan, activity: ActivityPlan, seen: Seen, now_s: float) -> Iterator[Want]:
    """Shards of an activity whose work is not done and that nobody works at, or who does is leaving."""
    first = state.last_attempt(activity.key, 0)
    if first is None:
        return
    newest = [state.last_attempt(activity.key, shard) for shard in range(first.of)]
    taken = frozenset(one.host for one in newest if one is not None and one.live)
    for shard, last in enumerate(newest):
        if last is None:
            yield Want(activity.key, shard, first.of, taken=taken)
        elif _may_go_on(state, plan, last, seen, now_s):
            avoid = frozenset(one.worker for one in tries_of(state, last) if not one.yielded)
            yield Want(activity.key, shard, first.of, avoid, host=last.host, taken=taken)


def _may_go_on(state: State, plan: Plan, last: Attempt, seen: Seen, now_s: float) -> bool:
    """Whether a shard whose last attempt is over, or leaves, still has work that another attempt could do."""
    if (last.live and not last.draining) or is_done(last):
        return False
    tries = tries_of(state, last)
    if any(is_done(one) for one in tries) or sum(not one.yielded for one in tries) >= MOST_ATTEMPTS:
        return False
    start_s = state.phases[last.phase].start_s
    if start_s is None:
        return True
    activity, end = plan.activity(last.activity), last.exited or last.lost
    if activity.kind not in RETRIED:
        return False
    if activity.arrivals is not None:
        return now_s < start_s + activity.duration_s - RESUME_MARGIN_S
    # what no schedule ends must not wait for ever for a worker that never comes
    waited_s = 0.0 if end is None else now_s - max(end.at_s, seen.leading_since_s)
    return waited_s <= plan.place_within_s + LONGEST_REST_S


def has_rested(state: State, want: Want, now_s: float) -> bool:
    """Whether a shard may be placed again already: one that fails on and on must not waste its tries."""
    last = state.last_attempt(want.activity, want.shard)
    ends = [end for one in tries_of(state, last) if (end := _failure(one))] if last is not None else []
    if len(ends) <= AT_ONCE:
        return True
    rest_s = min(2.0 ** (len(ends) - AT_ONCE - 1), LONGEST_REST_S)
    return now_s >= max(end.at_s for end in ends) + rest_s


def _failure(attempt: Attempt) -> f.Lost | f.Exited | None:
    """How an attempt ended, where it ended badly."""
    if attempt.exited is not None and attempt.exited.outcome in ("died", "error", "refused"):
        return attempt.exited
    return attempt.lost


def tries_of(state: State, last: Attempt) -> list[Attempt]:
    """All attempts at a shard so far."""
    return [state.attempts[id_] for id_ in state.shards[last.activity, last.shard]]


def placed(state: State, phase: PhasePlan, seen: Seen, assignment: Assignment, now_s: float) -> Say:
    """The fact that gives one shard its place."""
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


def unmet(state: State, plan: Plan, phase: PhasePlan, seen: Seen) -> list[str]:
    """What a phase that did not begin was waiting for."""
    phase = at_stations(state, phase)
    waiting = [
        f"{which(attempt, plan)}: {attempt.not_ready or STILL_STARTING}"
        for attempt in state.live_in(phase.name)
        if attempt.status != "ready" and not is_watch(attempt.activity)
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
        beside=seen.beside,
    )
    return list(placement.unmet)


def waits_for(state: State, plan: Plan, seen: Seen, now_s: float) -> tuple[str, ...]:
    """What keeps shards of the open phase from a place, for those who watch; empty where all have one."""
    name = state.current_phase()
    if name is None or state.aborting is not None:
        return ()
    if now_s < seen.settles_s:
        rest_s = seen.settles_s - now_s
        return (f"nothing begins for {rest_s:.0f} s: Redis was restarted, and engines may work unheard of",)
    phase = plan.phase(name)
    opened_s = state.phases[name].opened_s or now_s
    late = state.phases[name].start_s is None and now_s - opened_s > PROXIES_STAND_WITHIN_S
    if late and (proxies := missing_proxies(state, plan, phase, seen)):
        return tuple(proxies)
    if all((activity.key, 0) not in state.shards for activity in phase.activities):
        return tuple(unmet(state, plan, phase, seen))
    return tuple(
        why for activity in phase.activities for why in _homeless(state, plan, activity, seen, now_s)
    )


def _homeless(state: State, plan: Plan, activity: ActivityPlan, seen: Seen, now_s: float) -> Iterator[str]:
    """Why shards of an activity have no place just now."""
    found = list(wants(state, plan, activity, seen, now_s))
    resting = [want for want in found if not (has_rested(state, want, now_s) or _is_run(state, want))]
    if resting:
        last = state.last_attempt(activity.key, resting[-1].shard)
        end = _failure(last) if last is not None else None
        why = f": {end.why}" if end is not None else ""
        yield f"{activity.key}: {_shards(len(resting))} given a rest after more than {AT_ONCE} failures{why}"
    leaving = sum(1 for want in found if _is_run(state, want))
    if leaving:
        yield (
            f"{activity.key}: {_shards(leaving)} on workers that drain, and no other place for them yet: "
            "no worker that fits is free"
        )
    homeless = len(found) - len(resting) - leaving
    if homeless:
        faults = (seen.beside | doing(state, plan)).faults if activity.needs_engine else {}
        felt = sorted({f"host {host} feels the fault of {key}" for host, key in faults.items()})
        why = "; ".join(["no worker that fits is free", *felt])
        yield f"{activity.key}: {_shards(homeless)} without a place: {why}"


def _is_run(state: State, want: Want) -> bool:
    """Whether somebody works at the shard, who is to leave."""
    last = state.last_attempt(want.activity, want.shard)
    return last is not None and last.live


def _shards(count: int) -> str:
    return f"{count} {'shard' if count == 1 else 'shards'}"


def which(attempt: Attempt, plan: Plan) -> str:
    """An attempt in words: whose it is, where it runs, against what."""
    target = plan.activity(attempt.activity).target
    return f"{attempt.activity} on worker {attempt.worker}{f', target {target}' if target else ''}"
