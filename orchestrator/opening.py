"""A live campaign as its next leader finds it: admitted or refused, its journal and its numbers replayed."""

from orchestrator.admission import EVERYBODY, Hearing, RefusedError, Trust, admit
from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign_run import CampaignRun
from orchestrator.dispatch import Sender
from orchestrator.errors import ShakeoutError
from orchestrator.intake import Intake
from orchestrator.plan import plan_of
from orchestrator.recorded import fetch_times
from orchestrator.results import Results, samples_unreached
from orchestrator.store import Store
from workers.contract import facts as f
from workers.contract.halts import Halts
from workers.contract.signing import NO_KEYS


def open_run(
    id_: str,
    *,
    store: Store,
    results: Results,
    send: Sender,
    trust: Trust = EVERYBODY,
    halts: Halts | None = None,
) -> CampaignRun:
    """Stand where the last leader of this campaign stood.

    Raises RefusedError where the campaign is not to be run, ShakeoutError where its journal is gone.
    """
    entries = store.journal(id_)
    if not entries or not isinstance(entries[0].fact, f.Submitted):
        raise ShakeoutError(f"the journal of {id_} does not begin with its submission; Redis lost it")
    said = entries[0].fact
    halts = halts if halts is not None else Halts(NO_KEYS)
    ended = any(isinstance(entry.fact, f.Ended) for entry in entries)
    over = store.is_finished(id_) or (not ended and results.has_report(id_))
    now_s = store.now_s()
    signed = admit(id_, entries, trust=trust, over=over, halted=halts.halted(), now_s=now_s)
    campaign = load_campaign_text(said.text, base=None, sets=said.sets).campaign
    plan = plan_of(campaign, seed=said.seed, traces=said.traces)
    why = "" if results.folder is not None else samples_unreached(plan, results.runs)
    if why and not any(isinstance(entry.fact, f.Accepted) for entry in entries):
        raise RefusedError(why, by=said.by)
    times = fetch_times(store.client, said.traces.values())
    intake = Intake(id_, store, results)
    run = CampaignRun(id_, store, results, send, campaign, plan, intake, Hearing(id_, trust), signed, halts)
    run.times = times
    for entry in entries:
        run.take(entry)
    run.intake.restore(run.state.attempts.values())
    return run
