"""What each planned fault would touch: when, by which workers, which processes, seen by whom. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.campaign.checks.walk import observed
from orchestrator.campaign.models import Campaign, ChaosActivity, Match, Phase, Target
from orchestrator.placement import Assignment
from orchestrator.plan import ActivityPlan
from workers import chaos
from workers.contract.kinds import resolve


@dataclass(frozen=True, slots=True)
class FaultPreview:
    """One fault; `at_s` since the phase's start, `for_s` None for a one-shot one.

    `workers`: who would do it on the assumed fleet; empty where nobody fits. `touches`: what, in plain words.
    """

    key: str
    fault: str
    at_s: float
    for_s: float | None
    needs: str
    workers: tuple[str, ...]
    hosts: tuple[str, ...]
    touches: str
    observes: tuple[str, ...]


def fault_preview(
    model: ChaosActivity,
    planned: ActivityPlan,
    phase: Phase,
    *,
    campaign: Campaign,
    workers: Sequence[Assignment],
) -> FaultPreview:
    """What one chaos activity would touch."""
    return FaultPreview(
        key=planned.key,
        fault=model.fault or ", ".join(_composed(model)),
        at_s=model.at,
        for_s=model.for_,
        needs=planned.where.describe(),
        workers=tuple(sorted({one.worker for one in workers})),
        hosts=tuple(sorted({one.host for one in workers})),
        touches=_touches(model, campaign),
        observes=tuple(one.name for one in observed(phase, model)),
    )


def _composed(model: ChaosActivity) -> list[str]:
    """Names of the faults of a composition."""
    return [str(one.get("fault", "?")) for one in model.faults or ()]


def _touches(model: ChaosActivity, campaign: Campaign) -> str:
    if model.fault is None:
        return "each fault says for itself"
    kind: Any = resolve("workers.chaos", chaos.TABLE, model.fault)
    options = ", ".join(f"{key} {value}" for key, value in model.with_.items())
    beside = f" ({options})" if options else ""
    if kind.client:
        return f"our own requests to {model.target}{beside}"
    if model.match is not None:
        return f"{_processes(model.match)}{beside}"
    if kind.needs_match:
        return f"the process of {_demo(model, campaign)}{beside}"
    return options or "the host"


def _demo(model: ChaosActivity, campaign: Campaign) -> str:
    demos = [
        name for name, one in campaign.targets.items() if isinstance(one, Target) and one.demo is not None
    ]
    return f"the demo target {model.target or (demos[0] if demos else '?')}"


def _processes(match: Match) -> str:
    """Which processes a match means; how many there are only their host knows."""
    if match.port is not None:
        which = f"that listens on port {match.port}"
    elif match.name is not None:
        which = f"named {match.name}"
    elif match.cmdline is not None:
        which = f"whose command line matches {match.cmdline}"
    else:
        which = f"of {match.pidfile}"
    if match.processes is None:
        return f"the one process {which}"
    return f"{'all' if match.processes == 'all' else f'the {match.processes}'} processes {which}"
