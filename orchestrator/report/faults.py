"""The faults of a campaign in report.json: when, whether they took effect, what they did, for how long."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from orchestrator.facts import State
from orchestrator.judging import FaultResult, PhaseResult
from orchestrator.outcome import Outcome
from orchestrator.recovery import Impact


def fault_sections(outcome: Outcome) -> list[dict[str, Any]]:
    """Every fault that was done, and every planned one of a phase that ran and that was not."""
    found: list[dict[str, Any]] = []
    for phase in outcome.phases:
        if phase.verdict.verdict is None:
            continue
        done = {one.activity for one in phase.faults}
        found += [_fault(one, phase.phase) for one in phase.faults]
        found += [
            _never(one.name, fault=one.fault, phase=phase, why=_why(phase, one.key))
            for one in outcome.plan.phase(phase.phase).activities
            if one.kind == "chaos" and one.key not in done and _began(outcome.state, phase.phase)
        ]
    return found


def _fault(result: FaultResult, phase: str) -> dict[str, Any]:
    span, start_s = result.span, result.phase_start_s
    return {
        "name": span.name,
        "phase": phase,
        "activity": result.activity,
        "fault": span.fault,
        "worker": result.worker,
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
        "detected_s": _detected_s(result),
        "recovery_s": _worst_recovery_s(result.impacts),
        "recovered": _recovered(result.impacts),
    }


def _never(name: str, *, fault: str, phase: PhaseResult, why: str) -> dict[str, Any]:
    return {
        "name": name,
        "phase": phase.phase,
        "activity": name,
        "fault": fault,
        "worker": "",
        "injected": None,
        "injected_after_s": None,
        "reverted": None,
        "reverted_after_s": None,
        "one_shot": False,
        "clock_uncertainty_s": 0.0,
        "took_effect": False,
        "why": why,
        "residue": "",
        "impact": [],
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
    }


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
