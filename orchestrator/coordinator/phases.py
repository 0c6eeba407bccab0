"""What is said of a live campaign's phases that are over, and of the campaign: judged once each, and kept."""

from typing import TYPE_CHECKING

from orchestrator.judging.judging import Golden, PhaseResult, judge_campaign, judge_phase
from orchestrator.verdict import CampaignVerdict, skipped

if TYPE_CHECKING:
    from orchestrator.coordinator.campaign_run import CampaignRun

NOT_BEGUN = "the campaign was stopped before it"


def is_over(run: "CampaignRun", phase: str) -> bool:
    """Whether a phase has ended or was skipped."""
    known = run.state.phases.get(phase)
    return known is not None and known.over


def phase_results(run: "CampaignRun") -> tuple[PhaseResult, ...]:
    """What is said of every phase that is over, in the file's order."""
    return tuple(judged(run, phase.name) for phase in run.plan.phases if is_over(run, phase.name))


def result_of(run: "CampaignRun") -> tuple[tuple[PhaseResult, ...], CampaignVerdict]:
    """All phases and the campaign's verdict."""
    phases = (*phase_results(run), *_never_begun(run))
    return phases, judge_campaign(phases, run.state)


def judged(run: "CampaignRun", phase: str) -> PhaseResult:
    """What is said of one phase: the first time it is judged, later looked up."""
    if phase not in run.judged:
        run.judged[phase] = judge_phase(
            phase,
            campaign=run.campaign,
            plan=run.plan,
            state=run.state,
            aggregate=run.aggregate,
            golden=Golden(run.submitted.cases),
        )
    return run.judged[phase]


def judged_anew(run: "CampaignRun", phase: str) -> PhaseResult:
    """As `judged`, on the numbers of now."""
    run.judged.pop(phase, None)
    return judged(run, phase)


def _never_begun(run: "CampaignRun") -> tuple[PhaseResult, ...]:
    """Phases that a campaign which was stopped did not come to."""
    if run.state.aborting is None:
        return ()
    names = [phase.name for phase in run.plan.phases if not is_over(run, phase.name)]
    return tuple(PhaseResult(name, skipped(name, NOT_BEGUN)) for name in names)
