"""The faults of a campaign in report.json: when, whether they took effect, what they did, for how long."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.facts import State
from orchestrator.judging.judging import FaultResult, PhaseResult, never_injected
from orchestrator.judging.recovery import Impact
from orchestrator.plan import ActivityPlan
from orchestrator.results.outcome import Outcome


def fault_sections(outcome: Outcome) -> list[dict[str, Any]]:
    """Every fault that was done, and every planned one of a phase that ran and that was not."""
    found: list[dict[str, Any]] = []
    for phase in outcome.phases:
        if phase.verdict.verdict is None:
            continue
        found += [_fault(one, phase.phase) for one in phase.faults]
        if _began(outcome.state, phase.phase):
            found += _never_done(outcome, phase)
    return found


def _never_done(outcome: Outcome, phase: PhaseResult) -> Iterator[dict[str, Any]]:
    """Each step of a chaos activity that was injected nowhere."""
    done = {(one.activity, one.span.step) for one in phase.faults}
    for activity in outcome.plan.phase(phase.phase).activities:
        for number in range(len(activity.steps)):
            if (activity.key, number) not in done:
                _, said = never_injected(activity, number, outcome.state)
                yield _never(activity, number, phase=phase, why=said or _why(phase, activity.key))


def _fault(result: FaultResult, phase: str) -> dict[str, Any]:
    span, start_s = result.span, result.phase_start_s
    return {
        "name": span.name,
        "phase": phase,
        "activity": result.activity,
        "step": span.step + 1,
        "fault": span.fault,
        "intensity": span.intensity,
        "worker": span.worker,
        "host": span.host,
        "processes": list(span.processes),
        "touched": list(span.touched),
        "injected": start_s + span.injected_s,
        "injected_after_s": span.injected_s,
        "reverted": None if span.reverted_s is None else start_s + span.reverted_s,
        "reverted_after_s": span.reverted_s,
        "one_shot": span.one_shot,
        "clock_uncertainty_s": span.uncertainty_s,
        "took_effect": span.took_effect,
        "why": span.why,
        "residue": span.residue,
        "impact": [_impact(one) for one in result.impacts],
        "alerts": [asdict(one) for one in result.alerts],
        "detected_s": _detected_s(result),
        "recovery_s": _worst_recovery_s(result.impacts),
        "recovered": _recovered(result.impacts),
        **({"did": unfolded(span.did)} if span.did else {}),
    }


def unfolded(did: Mapping[str, int]) -> dict[str, Any]:
    """What a fault has done, counted: `answers.200` stands as 200 below answers."""
    found: dict[str, Any] = {}
    for name, count in did.items():
        *folders, last = name.split(".")
        place = found
        for folder in folders:
            below = place.setdefault(folder, {})
            place = below if isinstance(below, dict) else {}
        place[last] = count
    return found


def _never(activity: ActivityPlan, number: int, *, phase: PhaseResult, why: str) -> dict[str, Any]:
    step = activity.steps[number]
    return {
        "name": activity.name,
        "phase": phase.phase,
        "activity": activity.key,
        "step": number + 1,
        "fault": step.fault,
        "intensity": step.intensity,
        "worker": "",
        "host": "",
        "processes": [],
        "touched": [],
        "injected": None,
        "injected_after_s": None,
        "reverted": None,
        "reverted_after_s": None,
        "one_shot": not step.for_s,
        "clock_uncertainty_s": 0.0,
        "took_effect": False,
        "why": why,
        "residue": "",
        "impact": [],
        "alerts": [],
        "detected_s": None,
        "recovery_s": None,
        "recovered": None,
    }


def _began(state: State, phase: str) -> bool:
    so_far = state.phases.get(phase)
    return so_far is not None and so_far.start_s is not None


def _why(phase: PhaseResult, activity: str) -> str:
    said = next((one for one in phase.activities if one.activity == activity), None)
    return said.reasons[0] if said is not None and said.reasons else "never injected"


def _impact(impact: Impact) -> dict[str, Any]:
    """One fault's impact on one activity; shares in 0..1, throughput per second, times in seconds."""
    return {
        "activity": impact.activity,
        "inconclusive": impact.inconclusive,
        "baseline_windows": impact.baseline_windows,
        "signals": {
            one.signal: {
                "baseline": one.baseline,
                "fault": one.fault,
                "change": asdict(one.change) if one.change is not None else None,
            }
            for one in impact.signals
        },
        "in_flight_before": impact.in_flight_before,
        "in_flight_highest": impact.in_flight_highest,
        "detected_after_s": impact.detected_s,
        "recovered_after_s": impact.recovered_s,
        "recovery_s": impact.recovery_s,
        "had_s": impact.had_s,
        **_attempts(impact),
    }


def _attempts(impact: Impact) -> dict[str, Any]:
    """Tries per request, where the clients of the activity try again."""
    if impact.attempts_before is None and impact.attempts_during is None:
        return {}
    tries = (impact.attempts_before, impact.attempts_during, impact.attempts_highest)
    return {"attempts_per_request": dict(zip(("baseline", "fault", "highest"), tries, strict=True))}


def _detected_s(result: FaultResult) -> float | None:
    """Seconds from the injection to the first window outside the band, where it was felt first."""
    seen = [one.detected_s - result.span.injected_s for one in result.impacts if one.detected_s is not None]
    return max(0.0, min(seen)) if seen else None


def _worst_recovery_s(impacts: Iterable[Impact]) -> float | None:
    times = [one.recovery_s for one in impacts if not one.inconclusive]
    return max((one for one in times if one is not None), default=None) if None not in times else None


def _recovered(impacts: Iterable[Impact]) -> bool | None:
    """Whether all observed traffic came back; None where nothing can be said."""
    known = [one.recovery_s is not None for one in impacts if not one.inconclusive]
    return all(known) if known else None
