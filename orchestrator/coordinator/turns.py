"""Whose turn it is, as the leader keeps it: the queue asked again whenever something in it has changed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import redis

from orchestrator.campaign.models import Campaign
from orchestrator.coordinator.campaign_run import CampaignRun
from orchestrator.coordinator.resolving import Resolver
from orchestrator.facts import State
from orchestrator.placement.ceilings import NO_LIMITS, Ground, holdings, hosts_of
from orchestrator.placement.eligible import Rules
from orchestrator.placement.queue import Contender, queue
from orchestrator.plan import PhasePlan, Plan
from orchestrator.submit.files import KEPT_S, prolong
from workers.contract.facts import WorkerCard

AGAIN_S: Final = 1.0
"""The queue is asked so often at least while a campaign waits: its words hold figures that change."""
KEEP_EVERY_S: Final = 3600.0
SHARE: Final = 20
"""And at most this part of the leader's time goes into it, where only slots or workers have changed."""


@dataclass(slots=True)
class Turns:
    """`limits`: HOST:PORT -> most requests per second over all campaigns, as the operator says.

    `found`: campaign -> why it may not begin yet.
    """

    limits: Mapping[str, float] = field(default_factory=lambda: NO_LIMITS)
    resolver: Resolver = field(default_factory=Resolver)
    found: dict[str, str] = field(default_factory=dict)
    _last: dict[str, CampaignRun] = field(default_factory=dict)
    _standing: object = None
    _room: object = None
    _again: float = 0.0
    _kept: float = float("-inf")
    _at: float = float("-inf")

    def ground(self, campaign: Campaign, urls: Mapping[str, str]) -> Ground:
        """What a campaign's targets are held against; asks for their addresses, waiting a second at most."""
        written = Ground(urls, self.limits)
        return Ground(urls, self.limits, self.resolver.addresses(hosts_of(campaign, written)))

    def leads_to(self, runs: Sequence[CampaignRun]) -> dict[str, tuple[str, ...]]:
        """Names of the hosts of all targets -> their addresses."""
        found: dict[str, tuple[str, ...]] = {}
        for run in runs:
            found.update(self.ground(run.campaign, run.submitted.urls).leads_to)
        return found

    def waits(
        self,
        runs: Sequence[CampaignRun],
        *,
        fleet: Sequence[WorkerCard],
        rules: Rules,
        unread: Sequence[str],
    ) -> Mapping[str, str]:
        """Campaign -> why it may not begin yet. `unread`: live ones that are still to be opened."""
        known = {run.id: run for run in runs}
        # what broke in the middle and is to be opened again holds what it held before
        self._last = known | {id_: self._last[id_] for id_ in unread if id_ in self._last}
        unread = [id_ for id_ in unread if id_ not in self._last]
        live = [run for run in self._last.values() if run.state.ended is None]
        waiting = [run for run in live if not run.state.phases and run.state.aborting is None]
        if not waiting:
            self.found, self._standing = {}, None
        elif unread:
            why = f"waits until campaign {unread[0]} has been read again: what it holds is not known yet"
            self.found, self._standing = {run.id: why for run in waiting}, None
        elif self._changed(live, fleet):
            began = time.monotonic()
            self.found = queue([self._contender(run) for run in live], fleet=fleet, rules=rules)
            self._at = time.monotonic()
            self._again = self._at + max(AGAIN_S, SHARE * (self._at - began))
        return self.found

    def keep_files(self, client: redis.Redis, runs: Mapping[str, CampaignRun]) -> None:
        """Once an hour, that what waiting campaigns need does not expire before their turn."""
        now = time.monotonic()
        if not self.found or now - self._kept < KEEP_EVERY_S:
            return
        self._kept = now
        for run in (runs[id_] for id_ in self.found if id_ in runs):
            said = run.submitted
            named = [
                *(sha256 for sha256, _ in said.files.values()),
                *(t.sha256 for t in said.traces.values()),
            ]
            schedules_s = sum(phase.duration_s for phase in run.plan.phases)
            prolong(client, named, for_s=KEPT_S + round(schedules_s))

    def _changed(self, live: Sequence[CampaignRun], fleet: Sequence[WorkerCard]) -> bool:
        """Whether to ask again: at once for campaigns, in good time for slots and workers."""
        standing = [(run.id, run.state.current_phase(), len(run.state.phases)) for run in live]
        standing += [(run.id, "stopping", 0) for run in live if run.state.aborting is not None]
        room = (
            {run.id: run.slots_held for run in live},
            [(card.worker, card.incarnation, card.slots, card.draining, card.halted) for card in fleet],
        )
        now = time.monotonic()
        soon = room != self._room and now - self._at >= (self._again - self._at) - AGAIN_S
        changed = standing != self._standing or soon or now >= self._again
        if changed:
            self._standing, self._room = standing, room
        return changed

    def _contender(self, run: CampaignRun) -> Contender:
        campaign = run.campaign
        return Contender(
            id=run.id,
            by=run.submitted.by,
            seed=run.plan.seed,
            priority=campaign.priority,
            submitted_s=run.submitted.at_s,
            begun=bool(run.state.phases) or run.state.aborting is not None,
            shares=campaign.share_target,
            holdings=holdings(campaign, run.plan, self.ground(campaign, run.submitted.urls)),
            ahead=still_to_place(run.state, run.plan) if run.state.aborting is None else (),
            held=run.slots_held,
        )


def still_to_place(state: State, plan: Plan) -> tuple[PhasePlan, ...]:
    """Phases whose shards have no place yet."""
    left = (
        phase for phase in plan.phases if not (phase.name in state.phases and state.phases[phase.name].over)
    )
    return tuple(
        phase for phase in left if not all((activity.key, 0) in state.shards for activity in phase.activities)
    )
