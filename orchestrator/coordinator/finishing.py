"""How an ended campaign leaves Redis: what its results are made of, and where they stay."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from orchestrator.coordinator.phases import result_of
from orchestrator.results.outcome import Outcome
from orchestrator.results.results import report_alone
from orchestrator.results.sealing import sealed
from workers.contract.broker.trouble import is_full

if TYPE_CHECKING:
    from orchestrator.coordinator.campaign_run import CampaignRun

ROOM_WITHIN_S = 10.0
"""How long an ended campaign waits for Redis to have room for all of its results."""
log = logging.getLogger(__name__)


def outcome_of(run: "CampaignRun", now_s: float) -> Outcome:
    """Everything that the results of an ended campaign are made of."""
    phases, verdict = result_of(run)
    workers = sorted({one.worker for one in run.state.attempts.values()})
    return Outcome(
        id=run.id,
        campaign=run.campaign,
        plan=run.plan,
        state=run.state,
        phases=phases,
        verdict=verdict,
        journal=tuple(run.entries),
        fleet=tuple(run.cards[name] for name in workers if name in run.cards),
        started_s=run.submitted.at_s,
        ended_s=run.state.ended.at_s if run.state.ended is not None else now_s,
        flower=run.store.flower(),
        ceilings=run.effects.parts,
    )


def let_go(run: "CampaignRun", results: Mapping[str, bytes], now_s: float) -> None:
    """Move it out of the live ones with its results; in a Redis that stays full with the report alone.

    Raises NotLeadingError, and what Redis says while there may be room soon.
    """
    try:
        run.store.finish(run.id, at_s=now_s, results=results, streams=run.intake.read)
    except ResponseError as error:
        if not is_full(error):
            raise
        if run.state.ended is not None and now_s - run.state.ended.at_s < ROOM_WITHIN_S:
            raise
        log.warning("campaign %s: Redis has no room for its results, but for the report", run.id)
        few = report_alone(results, place=run.results.place(run.id))
        verdict = run.state.ended.verdict if run.state.ended is not None else ""
        alone = sealed(few, campaign=run.id, verdict=verdict, keys=run.results.keys)
        run.store.finish(run.id, at_s=now_s, results=alone, streams=run.intake.read, anyway=True)
