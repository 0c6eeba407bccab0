"""A live campaign as its next leader finds it: admitted or refused, its journal and its numbers replayed."""

from orchestrator.campaign.load import load_campaign_text
from orchestrator.coordinator.admission import EVERYBODY, Hearing, RefusedError, Trust, admit
from orchestrator.coordinator.announcing import Announcing
from orchestrator.coordinator.campaign_run import CampaignRun
from orchestrator.coordinator.effects import Effects
from orchestrator.coordinator.intake import Intake
from orchestrator.coordinator.news import LATELY_S, CampaignNews
from orchestrator.coordinator.turns import Turns
from orchestrator.dispatch import Sender
from orchestrator.errors import ShakeoutError
from orchestrator.placement.ceilings import parts, refusal
from orchestrator.plan import plan_of
from orchestrator.results.results import Results, samples_unreached
from orchestrator.store.entries import Entry
from orchestrator.store.store import Store
from orchestrator.submit.recorded import fetch_times
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import NO_KEYS


def open_run(
    id_: str,
    *,
    store: Store,
    results: Results,
    send: Sender,
    trust: Trust = EVERYBODY,
    halts: Halts | None = None,
    turns: Turns | None = None,
    announcing: Announcing | None = None,
) -> CampaignRun:
    """Stand where the last leader of this campaign stood.

    `turns`: has the operator's limits. `announcing`: tells the webhook of a game day.

    Raises RefusedError where the campaign is not to be run, ShakeoutError where its journal is gone.
    """
    entries = _from_submission(store.journal(id_))
    if not entries or not isinstance(entries[0].fact, f.Submitted):
        raise ShakeoutError(f"the journal of {id_} has no submission; Redis lost it")
    said = entries[0].fact
    halts = halts if halts is not None else Halts(NO_KEYS)
    ended = any(isinstance(entry.fact, f.Ended) for entry in entries)
    over = store.is_finished(id_) or (not ended and names.is_campaign_id(id_) and results.has_report(id_))
    now_s = store.now_s()
    signed = admit(id_, entries, trust=trust, over=over, halted=halts.halted(), now_s=now_s)
    campaign = load_campaign_text(said.text, base=None, sets=said.sets).campaign
    plan = plan_of(campaign, seed=said.seed, traces=said.traces)
    ground = (turns if turns is not None else Turns()).ground(campaign, said.urls)
    why = "" if results.folder is not None else samples_unreached(plan, results.runs)
    why = why or refusal(campaign, plan, ground)
    if why and not any(isinstance(entry.fact, f.Accepted) for entry in entries):
        raise RefusedError(why, by=said.by)
    times = fetch_times(store.client, said.traces.values())
    intake = Intake(id_, store, results, trust.keys)
    effects = Effects(id_, store, results, send, campaign, plan, trust.keys, parts(campaign, plan, ground))
    hearing = Hearing(id_, trust, campaign, alone=results.folder is not None)
    run = CampaignRun(id_, store, results, effects, campaign, plan, intake, hearing, signed, halts)
    run.times = times
    if campaign.gameday is not None and campaign.gameday.announce and announcing is not None:
        run.news = CampaignNews(id_, announcing, now_s - LATELY_S)
    run.take(*entries)
    _prove_whole(run)
    run.intake.restore(run.state.attempts.values())
    return run


def _prove_whole(run: CampaignRun) -> None:
    """Raise RefusedError where the journal ends before a decision by which a shard has begun.

    To decide it anew would be to begin that shard again, beside the attempt that may still work at it. A
    Redis that has started anew since may have lost it in all honesty.
    """
    there = run.hearing.decided
    if not run.hearing.trust.keys.keys or run.state.ended is not None:
        return
    noted = run.results.decided(run.id, server=run.store.run_id())
    if noted > there:
        why = f"the journal was altered: its decisions {there + 1} to {noted} are missing at its end"
        raise RefusedError(why, by=run.submitted.by)


def _from_submission(entries: list[Entry]) -> list[Entry]:
    """Without what workers said to a server that had lost the journal, before a leader put it back."""
    first = (place for place, entry in enumerate(entries) if isinstance(entry.fact, f.Submitted))
    return entries[next(first, len(entries)) :]
