"""What those who watch a campaign see: a small picture of now, published twice a second."""

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from orchestrator.aggregate.evidence import fault_spans, sent_and_failed
from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.decide.gates import waiting
from orchestrator.decide.placing import waits_for
from orchestrator.facts import Phase, State
from orchestrator.gameday.hidden import kept_back
from orchestrator.live.slos import SloWatch
from orchestrator.live.view import LiveActivity, LiveSlo, LiveView, encode_live
from orchestrator.plan import ActivityPlan
from workers.contract.sketch import EMPTY, merge_all
from workers.contract.snapshot import JUDGED, WARMUP

if TYPE_CHECKING:
    from orchestrator.coordinator.campaign_run import CampaignRun

RECENT_S = 10
"""Rates and percentiles shown live are of so many past seconds."""


def live_view(run: "CampaignRun", now_s: float, watch: SloWatch) -> bytes:
    """The picture of a campaign at a moment of common time; `watch` keeps how its SLOs stood last."""
    state = run.state
    name = state.current_phase() or ""
    names = [phase.name for phase in run.plan.phases]
    phase = state.phases.get(name, Phase())
    elapsed_s = now_s - phase.start_s if phase.start_s is not None else 0.0
    activities: tuple[LiveActivity, ...] = ()
    if name:
        slos = watch.look(run, name, elapsed_s)
        hidden = kept_back(run.campaign, run.plan, state)
        activities = tuple(
            _activity(
                activity,
                state,
                run.aggregate.of(activity.key),
                elapsed_s,
                cases=run.submitted.cases.get(activity.key, 0),
                slos=slos.get(activity.key, ()),
            )
            if activity.needs_engine
            else _fault(activity, state, run, name)
            for activity in run.plan.phase(name).activities
            if activity.key not in hidden
        )
    return encode_live(
        LiveView(
            campaign=run.id,
            at_s=now_s,
            phase=name,
            phase_number=names.index(name) + 1 if name else len(names) if state.phases else 0,
            phases=len(names),
            elapsed_s=elapsed_s,
            activities=activities,
            verdicts={key: one.verdict or "skipped" for key, one in state.phases.items() if one.over},
            aborting=state.aborting.why if state.aborting is not None else "",
            verdict=state.ended.verdict if state.ended is not None else "",
            waits=waits(run, now_s),
        )
    )


def waits(run: "CampaignRun", now_s: float) -> tuple[str, ...]:
    """What keeps a campaign from going on, in words: its turn, or a place for its shards."""
    state = run.state
    gate = waiting(state, run.plan)
    if gate:
        return gate
    if not state.phases and state.aborting is None and state.ended is None:
        return (run.seen.queued,) if run.seen.queued else ()
    return waits_for(state, run.plan, run.seen, now_s)


def _activity(
    activity: ActivityPlan,
    state: State,
    totals: ActivityTotals,
    elapsed_s: float,
    *,
    cases: int,
    slos: tuple[LiveSlo, ...],
) -> LiveActivity:
    attempts = state.attempts_of(activity.key)
    running = [attempt for attempt in attempts if attempt.status == "running"]
    if running:
        word = "running"
    elif attempts and all(not attempt.live for attempt in attempts):
        word = "over"
    else:
        word = "waiting"
    outcomes = totals.outcomes(JUDGED) + totals.outcomes(WARMUP)
    sent, ok, failed = sent_and_failed(outcomes)
    recent = [  # looked up, for a night has a hundred thousand rows and this is done twice a second
        row
        for second in range(math.ceil(elapsed_s - RECENT_S - 1), math.ceil(elapsed_s))
        for group in (JUDGED, WARMUP)
        if (row := totals.seconds.get((group, second))) is not None
    ]
    latency = merge_all(row.sketches.get("latency", EMPTY) for row in recent)
    span_s = max(1.0, min(RECENT_S, elapsed_s))
    done = sent / cases if cases else elapsed_s / activity.duration_s if activity.duration_s else 0.0
    waits = sorted({attempt.not_ready for attempt in attempts if attempt.not_ready})
    return LiveActivity(
        key=activity.key,
        kind=activity.kind,
        state=word,
        share=min(1.0, done),
        shards=len({attempt.shard for attempt in attempts}),
        sent=sent,
        ok=ok,
        failed=failed,
        rate_per_s=sum(sum(row.outcomes.values()) for row in recent) / span_s,
        p50_s=latency.quantile(0.5) if latency.count else None,
        p99_s=latency.quantile(0.99) if latency.count else None,
        note="; ".join(waits[:3]),
        slos=slos,
    )


def _fault(activity: ActivityPlan, state: State, run: "CampaignRun", phase: str) -> LiveActivity:
    start_s = state.phases[phase].start_s or 0.0
    spans = [one for one in fault_spans(state, run.plan.phase(phase), start_s) if one.name == activity.name]
    attempts = state.attempts_of(activity.key)
    held = [one for one in spans if one.reverted_s is None and not one.one_shot]
    begun = {one.step for one in spans}
    ended = bool(attempts) and not any(one.live for one in attempts)
    over = ended or len(begun) == len(activity.steps)
    word = "injected" if held else "reverted" if spans and over else "not done" if ended else "waiting"
    if word == "waiting" and state.phases[phase].withheld:
        word = "withheld"
    return LiveActivity(
        key=activity.key,
        kind=activity.kind,
        state=word,
        share=0.0,
        shards=len(attempts),
        sent=0,
        ok=0,
        failed=0,
        rate_per_s=0.0,
        p50_s=None,
        p99_s=None,
        note=_step_now(activity, held=[one.step for one in held], begun=begun),
    )


def _step_now(activity: ActivityPlan, *, held: Sequence[int], begun: Collection[int]) -> str:
    """The step that is held, else the next one, else the last: what it is and when."""
    ahead = [number for number in range(len(activity.steps)) if number not in begun]
    number = held[0] if held else ahead[0] if ahead else len(activity.steps) - 1
    step = activity.steps[number]
    which = f"{number + 1} of {len(activity.steps)}: " if len(activity.steps) > 1 else ""
    strength = f" at {100 * step.intensity:.3g}%" if step.intensity < 1 else ""
    length = f" for {step.for_s:g} s" if step.for_s else ""
    return f"{which}{step.fault}{strength} at {step.at_s:g} s{length}"
