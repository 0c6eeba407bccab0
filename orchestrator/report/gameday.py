"""A game day in report.json: who was asked, what was done and seen, how fast, and what is to be done."""

from collections.abc import Mapping
from typing import Any

from orchestrator.campaign.models import Approval, GameDay
from orchestrator.facts import Gate
from orchestrator.gameday.hidden import hidden_keys
from orchestrator.gameday.resilience import class_of
from orchestrator.gameday.roles import step_names
from orchestrator.gameday.windows import window_words
from orchestrator.report.fault_times import Budget, budget_of, fault_times
from orchestrator.report.lessons import actions, badly, well
from orchestrator.results.outcome import Outcome


def gameday_section(outcome: Outcome, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """All that a post-mortem tells beside the rest of the report; None for a campaign without a game day."""
    day = outcome.campaign.gameday
    if day is None:
        return None
    submitted = outcome.state.submitted
    budget = budget_of(outcome)
    section: dict[str, Any] = {
        "tabletop": day.tabletop,
        "window": window_words(day),
        "schedule": submitted.schedule if submitted is not None and submitted.schedule else None,
        "roles": dict(day.roles),
        "approvals": [_approval(name, one, day, outcome) for name, one in day.approvals.items()],
        "runbook": _runbook(day, outcome),
        "observations": [
            {"at": one.at_s, "by": one.by, "key": one.key, "text": one.text} for one in outcome.state.observed
        ],
        "posed": [
            {"at": one.at_s, "activity": one.activity, "text": one.text} for one in outcome.state.posed
        ],
        "faults": _faults(outcome, report, budget),
        "budget": _budget(budget),
        "not_run": _not_run(outcome, report),
        "unannounced": [{"what": one.what, "why": one.why} for one in outcome.state.unannounced],
        "history": [dict(one) for one in outcome.history if one["gameday"]],
    }
    section["well"] = list(well(section, report))
    section["badly"] = list(badly(section, report))
    section["actions"] = list(actions(section, report))
    return section


def _approval(phase: str, asked: Approval, day: GameDay, outcome: Outcome) -> dict[str, Any]:
    gate = outcome.state.gates.get(phase, Gate())
    answer = gate.approved or gate.denied
    if gate.denied is not None and phase not in outcome.state.phases:
        answer = gate.denied
    state = "approved" if answer is not None and answer is gate.approved else "denied" if answer else "open"
    if state == "open" and gate.until_s is not None:
        state = "late"
    return {
        "phase": phase,
        "role": asked.by,
        "address": day.roles.get(asked.by, ""),
        "asked": gate.asked.at_s if gate.asked is not None else None,
        "until": gate.until_s,
        "state": state,
        "by": answer.by if answer is not None else "",
        "key": answer.key if answer is not None else "",
        "at": answer.at_s if answer is not None else None,
        "why": answer.why if answer is not None else "",
    }


def _runbook(day: GameDay, outcome: Outcome) -> list[dict[str, Any]]:
    """Each step, and who did it first."""
    found = []
    for name, step in zip(step_names(day), day.runbook, strict=True):
        done = next((one for one in outcome.state.steps if one.step == name), None)
        found.append(
            {
                "step": name,
                "text": step.text,
                "command": step.command,
                "role": step.by or "",
                "phase": step.phase or "",
                "done": done.at_s if done is not None else None,
                "by": done.by if done is not None else "",
                "key": done.key if done is not None else "",
                "note": done.text if done is not None else "",
            }
        )
    return found


def _faults(outcome: Outcome, report: Mapping[str, Any], budget: Budget | None) -> list[dict[str, Any]]:
    """Each fault that was injected, in the order of time: its class, its times, and whether all held."""
    hidden = hidden_keys(outcome.campaign)
    found = []
    for one in fault_times(outcome, report):
        times = one.times
        claims = [slo["verdict"] for slo in report["slos"] if slo["activity"] == one.activity]
        found.append(
            {
                "name": one.name,
                "activity": one.activity,
                "phase": one.phase,
                "fault": one.fault,
                "class": class_of(one.fault),
                "hidden": one.activity in hidden,
                "injected": one.injected_s,
                "took_effect": one.took_effect,
                "held": one.held,
                "claims": {verdict: claims.count(verdict) for verdict in sorted(set(claims))},
                "felt_s": times.felt_s,
                "alerted_s": times.alerted_s,
                "noticed_s": times.seen_s,
                "ttd_s": times.detected_s,
                "detected_by": times.detected_by,
                "ttm_s": times.mitigated_s,
                "mitigated_by": times.mitigated_by,
                "ttr_s": times.recovered_s,
                "recovered": one.recovered,
                "budget_min": budget.burned_min.get((one.activity, one.step)) if budget is not None else None,
            }
        )
    return found


def _budget(budget: Budget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    return {
        "burned_min": budget.whole_min,
        "objective": budget.objective,
        "slo": budget.slo,
        "allowed_min_30d": budget.allowed_min,
    }


def _not_run(outcome: Outcome, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every fault that was planned and not injected, and why; in a rehearsal none was to be."""
    if outcome.campaign.gameday is not None and outcome.campaign.gameday.tabletop:
        return []
    found = [
        {"name": one["name"], "fault": one["fault"], "phase": one["phase"], "why": one["why"]}
        for one in report["faults"]
        if one["injected"] is None
    ]
    told = {(one["phase"], one["name"]) for one in report["faults"]}
    whys = {one["name"]: one["skipped_because"] or "; ".join(one["reasons"]) for one in report["phases"]}
    for phase in outcome.plan.phases:
        found += [
            {"name": one.name, "fault": one.fault, "phase": phase.name, "why": _why(whys, phase.name)}
            for one in phase.activities
            if one.kind == "chaos" and (phase.name, one.name) not in told
        ]
    return found


def _why(whys: Mapping[str, str], phase: str) -> str:
    return whys.get(phase) or "its phase did not begin"
