"""The gates before phases: approvals that are asked for, waited for or late, and windows that are closed."""

from collections.abc import Iterator

from orchestrator.decide.actions import Say
from orchestrator.facts import Gate, Phase, State
from orchestrator.gameday.persons import holder
from orchestrator.gameday.windows import closed, until_words
from orchestrator.plan import PhasePlan, Plan
from workers.contract import facts as f

NOT_HELD = ("fail", "invalid")


def next_phase(state: State, plan: Plan) -> PhasePlan | None:
    """The first phase that has neither been opened nor skipped; None where all have."""
    return next((phase for phase in plan.phases if phase.name not in state.phases), None)


def skip_reason(state: State, phase: PhasePlan) -> str:
    """Why a phase is to be skipped, "" where it is not: one that it requires did not hold."""
    for needed in phase.requires:
        before = state.phases.get(needed, Phase())
        if before.skipped_because or before.verdict in NOT_HELD:
            how = "was skipped" if before.skipped_because else f"ended with {before.verdict}"
            return f"requires {needed}, which {how}"
    return ""


def asks(state: State, plan: Plan, now_s: float) -> Iterator[Say]:
    """Ask for each approval that was not, at the campaign's start: who must approve can see it coming."""
    day = plan.gameday
    if day is None or state.aborting is not None:
        return
    for name, approval in day.approvals.items():
        if state.gates.get(name, Gate()).asked is None and not day.tabletop:
            fact = f.ApprovalAsked(
                phase=name, role=approval.by, address=day.roles.get(approval.by, ""),
                within_s=approval.within, at_s=now_s,
            )  # fmt: skip
            yield Say(f"approval:{name}:asked", fact)


def at_gate(state: State, plan: Plan, phase: PhasePlan, now_s: float) -> tuple[Say, ...] | None:
    """None where the phase may be opened; else what is to be said while it waits, perhaps nothing."""
    day = plan.gameday
    if day is None or day.tabletop or phase.name not in day.approvals:
        return None
    gate = state.gates.get(phase.name, Gate())
    if gate.approved is not None:
        return None
    if gate.until_s is not None:
        return ()
    until_s = now_s + day.approvals[phase.name].within
    return (Say(f"gate:{phase.name}:reached", f.GateReached(phase=phase.name, until_s=until_s, at_s=now_s)),)


def refused_at_gate(state: State, plan: Plan, now_s: float) -> f.Aborting | None:
    """Why no further phase may begin: a person said no or nothing, or the window is closed; None else."""
    day = plan.gameday
    if day is None or day.tabletop:
        return None
    for name, gate in state.gates.items():
        if gate.denied is not None and (gate.approved is None or name not in state.phases):
            denied = gate.denied
            why = f"phase {name} was not approved by {denied.by}" + (f": {denied.why}" if denied.why else "")
            return f.Aborting(by=denied.by, why=why, verdict="aborted", key=denied.key, at_s=now_s)
    phase = _before_start(state, plan)
    if phase is None:
        return None
    gate = state.gates.get(phase.name, Gate())
    waits = phase.name in day.approvals and gate.approved is None and phase.name not in state.phases
    if waits and gate.until_s is not None and now_s > gate.until_s:
        within_s = day.approvals[phase.name].within
        within = f"{within_s / 60:.3g} min" if within_s >= 60 else f"{within_s:g} s"
        why = f"phase {phase.name}: {_who(plan, phase.name)} did not approve it within {within}"
        return f.Aborting(by="shakeout", why=why, verdict="aborted", at_s=now_s)
    shut = closed(day, phase, at_s=now_s)
    return f.Aborting(by="shakeout", why=shut, verdict="invalid", at_s=now_s) if shut else None


def waiting(state: State, plan: Plan) -> tuple[str, ...]:
    """What people are waited for, in words for people: who must approve which phase, and until when."""
    phase = next_phase(state, plan)
    if phase is None or state.current_phase() is not None or state.aborting is not None:
        return ()
    gate = state.gates.get(phase.name, Gate())
    if gate.until_s is None or gate.approved is not None:
        return ()
    asked_s = gate.until_s - plan.gameday.approvals[phase.name].within if plan.gameday else gate.until_s
    zone = plan.gameday.window.timezone if plan.gameday and plan.gameday.window else ""
    until = until_words(gate.until_s, asked_s=asked_s, timezone=zone)
    campaign = state.submitted.campaign if state.submitted is not None else "ID"
    command = f"`shakeout approve {campaign} {phase.name}`"
    who = _who(plan, phase.name)
    return (f"phase {phase.name} waits for the approval of {who} until {until}: {command}",)


def _before_start(state: State, plan: Plan) -> PhasePlan | None:
    """The phase that is about to begin: the next one, or an open one that has not started; None else."""
    name = state.current_phase()
    if name is not None:
        return plan.phase(name) if state.phases[name].start_s is None else None
    phase = next_phase(state, plan)
    return None if phase is None or skip_reason(state, phase) else phase


def _who(plan: Plan, phase: str) -> str:
    """The role that approves a phase, with its address."""
    day = plan.gameday
    assert day is not None  # noqa: S101  # asked of phases that have an approval
    role = day.approvals[phase].by
    return holder(role, day.roles.get(role, ""))
