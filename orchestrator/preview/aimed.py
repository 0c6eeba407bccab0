"""What each planned fault would touch: when, by which workers, which processes, seen by whom. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.campaign.checks.walk import observed
from orchestrator.campaign.models import Campaign, ChaosActivity, Phase, Target
from orchestrator.placement.placement import Assignment
from orchestrator.plan import ActivityPlan
from workers.chaos.contract import kind_of
from workers.contract.fault_steps import FaultStep


@dataclass(frozen=True, slots=True)
class Now:
    """What a fault would touch on one host if it came now; `refused`: why it could not."""

    worker: str
    host: str
    processes: tuple[str, ...]
    touched: tuple[str, ...]
    refused: str


@dataclass(frozen=True, slots=True)
class FaultPreview:
    """One step of a chaos activity; `at_s` since the phase's start, `for_s` None for a one-shot one.

    `workers`: who would do it on the assumed fleet; empty where nobody fits. `touches`: what, in plain words.
    `step` of `of`: of an activity with several. `intensity`: the share of its strength. `now`: what each of
    the workers found on its host; empty where nobody was asked.
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
    step: int = 1
    of: int = 1
    intensity: float = 1.0
    now: tuple[Now, ...] = ()


def fault_previews(
    model: ChaosActivity,
    planned: ActivityPlan,
    phase: Phase,
    *,
    campaign: Campaign,
    workers: Sequence[Assignment],
) -> tuple[FaultPreview, ...]:
    """What each step of one chaos activity would touch."""
    return tuple(
        FaultPreview(
            key=planned.key,
            fault=step.fault,
            at_s=step.at_s,
            for_s=step.for_s or None,
            needs=planned.where.describe(),
            workers=tuple(sorted({one.worker for one in workers})),
            hosts=tuple(sorted({one.host for one in workers})),
            touches=_touches(step, model, campaign),
            observes=tuple(one.name for one in observed(phase, model)),
            step=number,
            of=len(planned.steps),
            intensity=step.intensity,
        )
        for number, step in enumerate(planned.steps, 1)
    )


def _touches(step: FaultStep, model: ChaosActivity, campaign: Campaign) -> str:
    kind = kind_of(step.fault)
    options = ", ".join(f"{key} {value}" for key, value in step.options.items())
    beside = f" ({options})" if options else ""
    if kind.client:
        return f"our own requests to {model.target}{beside}"
    if step.match is not None:
        return f"{_processes(step.match)}{beside}"
    if kind.needs_match:
        return f"the process of {_demo(model, campaign)}{beside}"
    return options or "the host"


def _demo(model: ChaosActivity, campaign: Campaign) -> str:
    demos = [
        name for name, one in campaign.targets.items() if isinstance(one, Target) and one.demo is not None
    ]
    return f"the demo target {model.target or (demos[0] if demos else '?')}"


def _processes(match: Mapping[str, Any]) -> str:
    """Which processes a match means; how many there are only their host knows."""
    ways = {
        "port": "that listens on port {}",
        "name": "named {}",
        "cmdline": "whose command line matches {}",
        "pidfile": "of {}",
    }
    which = next(words.format(match[key]) for key, words in ways.items() if key in match)
    number = match.get("processes")
    if number is None:
        return f"the one process {which}"
    return f"{'all' if number == 'all' else f'the {number}'} processes {which}"
