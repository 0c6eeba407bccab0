"""A schedule on its way in: what `submit` would store and say, for the runs that leaders begin by it."""

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.campaign.load import LoadedCampaign
from orchestrator.gameday.cron import Cron, check_cron, runs
from orchestrator.gameday.schedules import Added
from orchestrator.plan import plan_of
from orchestrator.store.store import Store
from orchestrator.submit.files import KEPT_S, code_of, files_of, store_files
from orchestrator.submit.recorded import read_recordings, store_recordings, summaries
from orchestrator.submit.submit import golden_cases


def schedule_of(  # each is a part of the one word
    loaded: LoadedCampaign,
    *,
    store: Store,
    cron: Cron,
    by: str,
    labels: Mapping[str, str] = MappingProxyType({}),
    max_time_s: float = 0.0,
) -> Added:
    """The word that adds it, not signed yet, with its files stored. Raises UsageError, DataError."""
    now_s = store.now_s()
    check_cron(cron, now_s=now_s)
    base, campaign = loaded.path.parent, loaded.campaign
    recordings = read_recordings(campaign, base)
    plan = plan_of(campaign, seed=campaign.seed or 0, traces=summaries(recordings))
    first_s = next(runs(cron, after_s=now_s)).at_s - now_s
    for_s = KEPT_S + round(first_s + sum(phase.duration_s for phase in plan.phases))
    store_recordings(store.client, recordings.values(), for_s=for_s)
    files = store_files(store.client, base, files_of(campaign), for_s=for_s)
    return Added(
        name=cron.name,
        cron=cron.expression,
        timezone=cron.timezone,
        jitter_s=cron.jitter_s,
        seed=cron.seed,
        text=loaded.text,
        sets=loaded.sets,
        files=files | code_of(campaign, base),
        cases=golden_cases(campaign, base),
        traces=summaries(recordings),
        labels=dict(labels),
        max_time_s=max_time_s,
        by=by,
        at_s=now_s,
    )
