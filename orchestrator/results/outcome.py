"""A whole campaign as it ended: what the report is written from, live or from a stored journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.campaign.models import Campaign
from orchestrator.facts import State
from orchestrator.judging.judging import PhaseResult
from orchestrator.plan import Plan
from orchestrator.store.entries import Entry
from orchestrator.verdict import CampaignVerdict
from workers.contract.facts import WorkerCard


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a report tells.

    `id`: the campaign's run id. `phases`: results in the file's order, of skipped phases too. `journal`:
    every fact with its place. `fleet`: cards of the workers that took part. `flower`: the fleet's Flower, ""
    where none ran. `samples`: activity key -> (rows, files) of its samples that stand at the runs URL.
    `ceilings`: activity key -> requests per second that its engines were held to. `history`: what the last
    runs with faults of the same name came to, the oldest first.
    """

    id: str
    campaign: Campaign
    plan: Plan
    state: State
    phases: tuple[PhaseResult, ...]
    verdict: CampaignVerdict
    journal: tuple[Entry, ...]
    fleet: tuple[WorkerCard, ...]
    started_s: float
    ended_s: float
    flower: str = ""
    samples: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    ceilings: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
