"""A phase's measurements -> judgements, verdicts, impacts: the last step before the report. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.aggregate.evidence import Measured, fault_spans, measure
from orchestrator.aggregate.totals import Aggregate
from orchestrator.campaign.models import Campaign, ChaosActivity, Phase
from orchestrator.facts import State
from orchestrator.plan import ActivityPlan, PhasePlan, Plan
from orchestrator.recovery import Impact, assess, with_recovery
from orchestrator.slo.evidence import Evidence, FaultSpan, Judgement, Prices
from orchestrator.slo.judge import judge, judge_observed
from orchestrator.slo.validity import invalid_fault_reasons, invalid_reasons
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


@dataclass(frozen=True, slots=True)
class FaultResult:
    """One fault: as it was done, by which worker, and what it did to each activity that it observes."""

    activity: str
    worker: str
    span: FaultSpan
    phase_start_s: float
    impacts: tuple[Impact, ...]


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
    if so_far.start_s is None:
        return PhaseResult(name, phase_verdict(name, (), invalid_reasons=("it did not begin",)))
    measured = tuple(
        _measured(
            activity, phase, campaign=campaign, state=state, aggregate=aggregate, golden=golden, of=phase_plan
        )
        for activity in phase_plan.activities
        if activity.needs_engine
    )
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


def observed_by(chaos: ChaosActivity, plan: PhasePlan) -> tuple[str, ...]:
    """Keys of the activities that a fault's expectations are about.

    Named, or every load and soak on its target.
    """
    names = chaos.observe
    return tuple(
        activity.key
        for activity in plan.activities
        if activity.is_load
        and (activity.name in names if names is not None else chaos.target in (None, activity.target))
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
        cases=golden.cases.get(activity.key, 0),
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
    said = [
        judge_observed(
            one, observed, campaign_slos=campaign.slos, validity=campaign.validity, fault=activity.name
        )
        for one in model.expect
        if observed
    ]
    return [replace(one, activity=activity.key) for one in said], _fault_reasons(activity, plan, state)


def _fault_reasons(activity: ActivityPlan, plan: PhasePlan, state: State) -> tuple[str, ...]:
    """Why nothing may be claimed of a fault: what is wrong where it was done, and where it never was."""
    start_s = state.phases[plan.name].start_s or 0.0
    spans = [span for span in fault_spans(state, plan, start_s) if span.name == activity.name]
    reasons = [reason for span in spans for reason in invalid_fault_reasons(span)]
    attempts = state.attempts_of(activity.key)
    done = {one.shard for one in attempts if _injected(state, one.id)}
    missing = [one for one in attempts if one.shard not in done]
    if missing or not attempts:
        said = [step.why for one in missing for step in state.faults.get(one.id, ()) if step.why]
        said += [one.exited.why for one in missing if one.exited is not None and one.exited.why]
        said += [one.lost.why for one in missing if one.lost is not None]
        where = f" on {', '.join(sorted({one.host for one in missing}))}" if spans else ""
        reasons.append(f"the fault was never injected{where}" + (f": {said[0]}" if said else ""))
    return tuple(reasons)


def _injected(state: State, attempt: str) -> bool:
    return any(step.what == "injected" for step in state.faults.get(attempt, ()))


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
        workers = [one.worker for one in state.attempts_of(activity.key) if _injected(state, one.id)]
        evidences: list[Evidence] = [measured[key].evidence for key in observed_by(model, plan)]
        for span, worker in zip(spans, workers, strict=False):
            impacts = tuple(assess(one, span, (*one.slos, *campaign.slos)) for one in evidences)
            found.append(FaultResult(activity.key, worker, span, start_s, impacts))
    return tuple(found)
