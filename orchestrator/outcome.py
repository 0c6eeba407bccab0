"""A whole campaign as it ended: what the report is written from, live or from a stored journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.campaign.models import Campaign
from orchestrator.facts import State
from orchestrator.judging import PhaseResult
from orchestrator.plan import Plan
from orchestrator.store import Entry
from orchestrator.verdict import CampaignVerdict
from workers.contract.facts import WorkerCard


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a report tells.

    `id`: the campaign's run id. `phases`: results in the file's order, of skipped phases too. `journal`:
    every fact with its place. `fleet`: cards of the workers that took part. `flower`: the fleet's Flower, ""
    where none ran. `samples`: activity key -> (rows, files) of its samples that stand at the runs URL.
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
