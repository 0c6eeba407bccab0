"""A phase's measurements -> judgements, verdicts, impacts: the last step before the report. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.aggregate.evidence import Measured, fault_spans, measure
from orchestrator.aggregate.totals import Aggregate
from orchestrator.aggregate.unscheduled import CaseWork
from orchestrator.aggregate.watched import watched_in
from orchestrator.campaign.models import Campaign, ChaosActivity, Phase
from orchestrator.campaign.watched import shown_by
from orchestrator.facts import Attempt, State
from orchestrator.judging.alerts import AlertTimes, alert_times, own_evidence
from orchestrator.judging.answers import judge_answers
from orchestrator.judging.observing import observed_by
from orchestrator.judging.recovery import Impact, assess, with_recovery
from orchestrator.plan import ActivityPlan, PhasePlan, Plan
from orchestrator.slo.evidence import Evidence, FaultSpan, Judgement, Prices
from orchestrator.slo.expressions import Alert, Gauge
from orchestrator.slo.judge import judge, judge_observed
from orchestrator.slo.validity import invalid_fault_reasons, invalid_reasons
from orchestrator.slo.watched import UNWATCHED
from orchestrator.verdict import (
    ActivityVerdict,
    CampaignVerdict,
    PhaseVerdict,
    activity_verdict,
    campaign_verdict,
    phase_verdict,
    skipped,
)

if TYPE_CHECKING:
    from orchestrator.slo.expressions import Expression


REHEARSED = "rehearsed at the table: nothing was sent or injected"


@dataclass(frozen=True, slots=True)
class FaultResult:
    """One fault on one host, as it was done, and what it did to each activity that it observes."""

    activity: str
    span: FaultSpan
    phase_start_s: float
    impacts: tuple[Impact, ...]
    alerts: tuple[AlertTimes, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """Everything said of one phase."""

    phase: str
    verdict: PhaseVerdict
    activities: tuple[ActivityVerdict, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    measured: tuple[Measured, ...] = ()
    faults: tuple[FaultResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Golden:
    """How many cases each regression activity has to judge."""

    cases: Mapping[str, int] = field(default_factory=dict)


def judge_phase(
    name: str, *, campaign: Campaign, plan: Plan, state: State, aggregate: Aggregate, golden: Golden
) -> PhaseResult:
    """Judge one phase whose numbers are in."""
    phase_plan = plan.phase(name)
    phase = next(one for one in campaign.phases if one.name == name)
    so_far = state.phases[name]
    if so_far.skipped_because:
        return PhaseResult(name, skipped(name, so_far.skipped_because))
    if campaign.gameday is not None and campaign.gameday.tabletop:
        return PhaseResult(name, PhaseVerdict(name, "pass", (REHEARSED,)))
    if so_far.start_s is None:
        return PhaseResult(name, phase_verdict(name, (), invalid_reasons=("it did not begin",)))
    measured = tuple(
        _measured(
            activity, phase, campaign=campaign, state=state, aggregate=aggregate, golden=golden, of=phase_plan
        )
        for activity in phase_plan.activities
        if activity.needs_engine
    )
    watched = watched_in(name, state) if phase_plan.watch is not None else UNWATCHED
    measured = tuple(replace(one, evidence=replace(one.evidence, watched=watched)) for one in measured)
    by_key = {one.plan.key: one for one in measured}
    verdicts: list[ActivityVerdict] = []
    judgements: list[Judgement] = []
    for activity in phase_plan.activities:
        if activity.key in by_key:
            said = _judge_traffic(by_key[activity.key], campaign)
            invalid = _invalid(by_key[activity.key], campaign)
        else:
            said, invalid = _judge_chaos(activity, phase, phase_plan, by_key, campaign=campaign, state=state)
        judgements += said
        verdicts.append(activity_verdict(activity.key, said, invalid_reasons=invalid, kind=activity.kind))
    return PhaseResult(
        phase=name,
        verdict=phase_verdict(name, verdicts),
        activities=tuple(verdicts),
        judgements=tuple(judgements),
        measured=measured,
        faults=_faults(phase, phase_plan, by_key, campaign=campaign, state=state),
    )


def judge_campaign(phases: Sequence[PhaseResult], state: State) -> CampaignVerdict:
    """The campaign's verdict from those of its phases and from what stopped it."""
    aborting = state.aborting
    by_slo = aborting.why if aborting is not None and aborting.by == "abort_if" else ""
    own = (aborting.why,) if aborting is not None and aborting.verdict == "invalid" else ()
    person = aborting.why if aborting is not None and aborting.verdict == "aborted" else ""
    return campaign_verdict(
        [one.verdict for one in phases], aborted_by_slo=by_slo, aborted_by_person=person, invalid_reasons=own
    )


def _measured(
    activity: ActivityPlan,
    phase: Phase,
    *,
    campaign: Campaign,
    state: State,
    aggregate: Aggregate,
    golden: Golden,
    of: PhasePlan,
) -> Measured:
    model = next(one for one in phase.activities if one.name == activity.name)
    slos: tuple[Expression, ...] = tuple(getattr(model, "slos", ()))
    prices = None
    if campaign.prices is not None:
        given = campaign.prices
        prices = Prices(given.machine_hour, given.machines, given.kwh, given.currency)
    measured = measure(
        activity,
        state,
        aggregate.of(activity.key),
        phase=of,
        slos=slos,
        prices=prices,
        cases=CaseWork(golden.cases.get(activity.key, 0), getattr(model, "repeats", 1)),
        beside={one.key: aggregate.of(one.key) for one in of.activities if one.needs_engine},
    )
    standing = (*slos, *campaign.slos) if activity.is_load else slos
    return replace(measured, evidence=with_recovery(measured.evidence, standing))


def _judge_traffic(measured: Measured, campaign: Campaign) -> list[Judgement]:
    """The activity's own SLOs, then the campaign's on a load or soak."""
    own = measured.evidence.slos
    of_campaign = campaign.slos if measured.plan.is_load else ()
    return [
        judge(one, measured.evidence, place="slos", campaign_slos=of_campaign, validity=campaign.validity)
        for one in (*own, *of_campaign)
    ]


def _invalid(measured: Measured, campaign: Campaign) -> tuple[str, ...]:
    reasons = invalid_reasons(measured.evidence, campaign.validity)
    if measured.account.twice:
        reasons = (
            *reasons,
            f"{measured.account.twice} answers more than arrivals: two attempts sent the same",
        )
    return reasons


def _judge_chaos(
    activity: ActivityPlan,
    phase: Phase,
    plan: PhasePlan,
    measured: Mapping[str, Measured],
    *,
    campaign: Campaign,
    state: State,
) -> tuple[list[Judgement], tuple[str, ...]]:
    """A fault's expectations over what it observes, and why nothing may be claimed of it."""
    model = next(one for one in phase.activities if one.name == activity.name)
    if not isinstance(model, ChaosActivity):
        return [], ()
    observed = [measured[key].evidence for key in observed_by(model, plan)]
    own = _own(activity, model, phase=phase, plan=plan, observed=observed, campaign=campaign, state=state)
    said = [
        judge(one, own, place="expect", campaign_slos=(), validity=campaign.validity, fault=activity.name)
        if isinstance(one.body, Alert | Gauge)
        else judge_observed(
            one, observed, campaign_slos=campaign.slos, validity=campaign.validity, fault=activity.name
        )
        for one in model.expect
        if observed or isinstance(one.body, Alert | Gauge)
    ]
    spans = fault_spans(state, plan, state.phases[plan.name].start_s or 0.0)
    said += judge_answers(activity, [span for span in spans if span.name == activity.name])
    return [replace(one, activity=activity.key) for one in said], _fault_reasons(activity, plan, state)


def _own(
    activity: ActivityPlan,
    model: ChaosActivity,
    *,
    phase: Phase,
    plan: PhasePlan,
    observed: Sequence[Evidence],
    campaign: Campaign,
    state: State,
) -> Evidence:
    """What a fault's expectations of alerts and gauges are judged on."""
    spans = fault_spans(state, plan, state.phases[plan.name].start_s or 0.0)
    watched = watched_in(plan.name, state) if plan.watch is not None else UNWATCHED
    targets = shown_by(model, phase, campaign)
    return own_evidence(activity, plan, spans, watched=watched, targets=targets, observed=observed)


def _fault_reasons(activity: ActivityPlan, plan: PhasePlan, state: State) -> tuple[str, ...]:
    """Why nothing may be claimed of a fault: what is wrong where it was done, and where it never was."""
    start_s = state.phases[plan.name].start_s or 0.0
    if withheld := state.phases[plan.name].withheld:
        return (f"the faults of this phase were withheld: {withheld}",)
    spans = [span for span in fault_spans(state, plan, start_s) if span.name == activity.name]
    reasons = [reason for span in spans for reason in invalid_fault_reasons(span)]
    attempts = state.attempts_of(activity.key)
    reasons += [
        f"the fault was ended before its time on {one.host}: {why}"
        for one in attempts
        if _injected(state, one.id) and (why := _ended_early(one))
    ]
    for number in range(len(activity.steps)):
        reasons += _never_injected(activity, number, state, some=bool(spans))
    return tuple(dict.fromkeys(reasons))


def never_injected(activity: ActivityPlan, number: int, state: State) -> tuple[list[Attempt], str]:
    """The attempts at an activity that did not do one of its steps, and why, as far as it was said."""
    attempts = state.attempts_of(activity.key)
    done = {one.shard for one in attempts if _injected(state, one.id, number)}
    missing = [one for one in attempts if one.shard not in done]
    said = [
        seen.why
        for one in missing
        for seen in sorted(state.faults.get(one.id, ()), key=lambda seen: seen.what != "failed")
        if seen.step == number and seen.why
    ]
    said += [one.exited.why for one in missing if one.exited is not None and one.exited.why]
    said += [one.lost.why for one in missing if one.lost is not None]
    withheld = state.phases[activity.phase].withheld
    said = [f"withheld: {withheld}", *said] if withheld else said
    return missing, said[0] if said else ""


def _never_injected(activity: ActivityPlan, number: int, state: State, *, some: bool) -> list[str]:
    missing, why = never_injected(activity, number, state)
    if not missing and state.attempts_of(activity.key):
        return []
    which = f" ({number + 1} of {len(activity.steps)})" if len(activity.steps) > 1 else ""
    what = f"{activity.steps[number].fault}{which}" if which else "the fault"
    where = f" on {', '.join(sorted({one.host for one in missing}))}" if some and missing else ""
    return [f"{what} was never injected{where}" + (f": {why}" if why else "")]


def _ended_early(attempt: Attempt) -> str:
    """Why a fault was not held for as long as it should be: its worker was lost, drained, or told to stop."""
    if attempt.lost is not None:
        return attempt.lost.why
    exited = attempt.exited
    return exited.why or exited.outcome if exited is not None and exited.outcome != "done" else ""


def _injected(state: State, attempt: str, step: int | None = None) -> bool:
    """Whether an attempt injected that step, or any."""
    seen = state.faults.get(attempt, ())
    return any(one.what == "injected" and step in (None, one.step) for one in seen)


def _faults(
    phase: Phase, plan: PhasePlan, measured: Mapping[str, Measured], *, campaign: Campaign, state: State
) -> tuple[FaultResult, ...]:
    """Every fault that was done, with its impact on what it observes."""
    start_s = state.phases[plan.name].start_s or 0.0
    found: list[FaultResult] = []
    for activity in plan.activities:
        model = next(one for one in phase.activities if one.name == activity.name)
        if not isinstance(model, ChaosActivity):
            continue
        spans = [span for span in fault_spans(state, plan, start_s) if span.name == activity.name]
        evidences: list[Evidence] = [measured[key].evidence for key in observed_by(model, plan)]
        own = _own(
            activity, model, phase=phase, plan=plan, observed=evidences, campaign=campaign, state=state
        )
        for span in spans:
            impacts = tuple(assess(one, span, (*one.slos, *campaign.slos)) for one in evidences)
            found.append(FaultResult(activity.key, span, start_s, impacts, alert_times(span, own)))
    return tuple(found)
