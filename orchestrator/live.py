"""What those who watch a campaign see: a small picture of now, published twice a second."""

from typing import TYPE_CHECKING

from orchestrator.aggregate.evidence import fault_spans, sent_and_failed
from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.decide import waits_for
from orchestrator.facts import Phase, State
from orchestrator.live_slos import SloWatch
from orchestrator.live_view import LiveActivity, LiveSlo, LiveView, encode_live
from orchestrator.plan import ActivityPlan
from workers.contract.sketch import EMPTY, merge_all
from workers.contract.snapshot import JUDGED, WARMUP

if TYPE_CHECKING:
    from orchestrator.campaign_run import CampaignRun

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
        )
    return encode_live(
        LiveView(
            campaign=run.id,
            at_s=now_s,
            phase=name,
            phase_number=names.index(name) + 1 if name else len(names),
            phases=len(names),
            elapsed_s=elapsed_s,
            activities=activities,
            verdicts={key: one.verdict or "skipped" for key, one in state.phases.items() if one.over},
            aborting=state.aborting.why if state.aborting is not None else "",
            verdict=state.ended.verdict if state.ended is not None else "",
            waits=waits_for(state, run.plan, run.seen, now_s),
        )
    )


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
    recent = [
        row
        for (group, second), row in totals.seconds.items()
        if group in (JUDGED, WARMUP) and elapsed_s - RECENT_S - 1 <= second < elapsed_s
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
    word = "waiting"
    if spans:
        word = "injected" if any(one.reverted_s is None and not one.one_shot for one in spans) else "reverted"
    return LiveActivity(
        key=activity.key,
        kind=activity.kind,
        state=word,
        share=0.0,
        shards=len(state.attempts_of(activity.key)),
        sent=0,
        ok=0,
        failed=0,
        rate_per_s=0.0,
        p50_s=None,
        p99_s=None,
        note=f"{activity.fault} at {activity.at_s:g} s"
        + (f" for {activity.for_s:g} s" if activity.for_s else ""),
    )
