"""A campaign on its way in: files stored, first fact written, id made."""

import random
import secrets
import string
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from orchestrator.campaign.files import is_url
from orchestrator.campaign.load import LoadedCampaign
from orchestrator.campaign.models import Campaign, RegressionActivity, Target
from orchestrator.errors import UsageError
from orchestrator.plan import activity_keys, plan_of
from orchestrator.preview.unfinished import felt_by_all, unfinished
from orchestrator.store.server_life import outlive_its_first_second
from orchestrator.store.store import Store
from orchestrator.submit.files import KEPT_S, code_of, files_of, local_copy, store_files
from orchestrator.submit.recorded import read_recordings, store_recordings, summaries
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.files.golden import read_golden
from workers.contract.signed.signing import NO_KEYS, Keys
from workers.contract.signed.trust import sign_fact


def new_id(campaign: str, *, now_s: float) -> str:
    """A run id: name, start time in UTC, four characters."""
    tail = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(4))
    return f"{campaign}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now_s))}-{tail}"


def draw_seed() -> int:
    """A seed for a campaign that names none; it is printed and kept."""
    return random.SystemRandom().randrange(2**63)


def refuse_unfinished(campaign: Campaign, *, local: bool) -> None:
    """Raise UsageError that names everything in the campaign which parses and plans but cannot run yet."""
    for name, target in campaign.targets.items():
        if isinstance(target, Target) and target.demo is not None and not local:
            raise UsageError(
                f"targets.{name}.demo: only `run` starts a demo target; start one with "
                f"`shakeout demo-target` and say `--set targets.{name}.url=http://HOST:PORT`"
            )
    if local and (crowded := felt_by_all(campaign)):
        raise UsageError(
            f"{'; '.join(crowded)}: the whole host feels it, and `run` has but this one, which sends the "
            "load and judges it: say `on_generators: true` if that is meant"
        )
    missing = unfinished(campaign)
    if missing:
        raise UsageError("these parse and plan but do not run in this version: " + "; ".join(missing))


def submit(  # noqa: PLR0913  # each is a part of the one fact
    loaded: LoadedCampaign,
    *,
    store: Store,
    id_: str,
    seed: int,
    by: str,
    urls: Mapping[str, str],
    keys: Keys = NO_KEYS,
    labels: Mapping[str, str] = MappingProxyType({}),
    max_time_s: float = 0.0,
) -> None:
    """Store the files, then say the first fact, signed; from then on the leader takes care of it.

    `labels`: the submitter's own. `max_time_s`: the leader stops it when so long has passed; 0: no limit.
    """
    base = loaded.path.parent
    recordings = read_recordings(loaded.campaign, base)
    plan = plan_of(loaded.campaign, seed=seed, traces=summaries(recordings))
    for_s = KEPT_S + round(sum(phase.duration_s for phase in plan.phases))
    store_recordings(store.client, recordings.values(), for_s=for_s)
    files = store_files(store.client, base, files_of(loaded.campaign), for_s=for_s)
    outlive_its_first_second(store.client, now_s=store.now_s())
    now_s = store.now_s()
    fact = f.Submitted(
        campaign=id_,
        text=loaded.text,
        sets=loaded.sets,
        seed=seed,
        by=by,
        files=files | code_of(loaded.campaign, base),
        urls=dict(urls),
        cases=golden_cases(loaded.campaign, base),
        traces=summaries(recordings),
        labels=dict(labels),
        max_time_s=max_time_s,
        at_s=now_s,
    )
    fact = sign_fact(fact, campaign=id_, keys=keys, now_s=now_s)
    store.say(id_, id_="submitted", fact=fact)
    store.client.zadd(names.CAMPAIGNS, {id_: now_s})


def golden_cases(campaign: Campaign, base: Path) -> dict[str, int]:
    """Activity key -> how many golden cases it will judge.

    Raises DataError for a broken golden file, all lines at once; UsageError for one that cannot be fetched.
    """
    keys = activity_keys(campaign)
    found: dict[str, int] = {}
    for phase in campaign.phases:
        for activity in phase.activities:
            if isinstance(activity, RegressionActivity) and activity.golden is not None:
                name = activity.golden if is_url(activity.golden) else ""
                with local_copy(base, activity.golden) as file:
                    count = len(read_golden(file, name=name, baseline=activity.baseline is not None))
                found[keys[phase.name, activity.name]] = (
                    min(count, activity.limit or count) * activity.repeats
                )
    return found
