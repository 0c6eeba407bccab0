"""Whether a game day may be `run` here now: in its window, in no blackout, and not beside the last one."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import redis

from orchestrator.campaign.models import Campaign
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.gameday.windows import refusal
from orchestrator.local_access import read_access
from orchestrator.plan import Plan
from orchestrator.store.store import Store

REFUSED: Final = "refused.txt"
"""In the folder of a run that was refused: why."""


def insist_on_time(campaign: Campaign, plan: Plan, *, folder: Path) -> None:
    """Exit 2 where a game day may not run now, with why in the run's folder."""
    if campaign.gameday is None:
        return
    why = refusal(campaign.gameday, plan, now_s=time.time()) or _still_goes(campaign.campaign, folder.parent)
    if not why:
        return
    with suppress(OSError):
        (folder / REFUSED).write_text(f"{time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())} {why}\n")
    fail(f"refused: {why} (recorded in {folder / REFUSED})", EXIT_USAGE)


def _still_goes(name: str, runs: Path) -> str:
    """The last run of this name on this machine, where it still goes."""
    for folder in sorted(runs.glob(f"{name}-*")):
        access = read_access(folder)
        if access is not None and _answers(access.broker):
            return f"the last run still goes: {access.campaign}"
    return ""


def _answers(broker: str) -> bool:
    with suppress(redis.RedisError):
        return bool(Store(broker).client.ping())
    return False
