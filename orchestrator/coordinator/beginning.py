"""Beginning a game day, by schedule or by a person: what stands against it, and how a leader submits it."""

from collections.abc import Iterable

from orchestrator.coordinator.admission import Trust
from orchestrator.coordinator.campaign_run import CampaignRun
from orchestrator.gameday.cron import Run
from orchestrator.gameday.schedules import Added, Schedule
from orchestrator.gameday.windows import refusal
from orchestrator.store.store import Store
from orchestrator.submit.files import KEPT_S, prolong
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Halts
from workers.contract.signed.trust import sign_fact


def game_day_refusal(run: CampaignRun, runs: Iterable[CampaignRun], *, now_s: float) -> str:
    """Why a game day is not taken now, "" where it is: its window, a blackout, the last one still goes."""
    day = run.campaign.gameday
    if day is None:
        return ""
    why = refusal(day, run.plan, now_s=now_s)
    for other in runs:
        alike = other.campaign.campaign == run.campaign.campaign and other.campaign.gameday is not None
        if alike and other.state.ended is None and _came_before(other, run):
            why = why or f"the last run still goes: {other.id}"
    return why


def _came_before(other: CampaignRun, run: CampaignRun) -> bool:
    """Whether a campaign is on its way and came before this one: of two that come at once the first goes."""
    if other.id == run.id:
        return False
    first = (other.submitted.at_s, other.id) < (run.submitted.at_s, run.id)
    return first or other.state.accepted is not None


def submit_run(
    schedule: Schedule, run: Run, id_: str, *, seed: int, store: Store, trust: Trust, now_s: float
) -> None:
    """Say the first fact of a run, under the coordinator's signature; harmless where it was said before."""
    added = schedule.added
    prolong(store.client, needs(added), for_s=KEPT_S)
    fact = f.Submitted(
        campaign=id_, text=added.text, sets=added.sets, seed=seed, by=added.by, files=added.files,
        cases=added.cases, labels=added.labels, max_time_s=added.max_time_s, traces=added.traces,
        schedule=added.name, due_s=run.due_s, schedule_key=added.key, at_s=now_s,
    )  # fmt: skip
    store.say(id_, id_="submitted", fact=sign_fact(fact, campaign=id_, keys=trust.keys, now_s=now_s))
    store.client.zadd(names.CAMPAIGNS, {id_: now_s}, nx=True)


def halted(halts: Halts) -> str:
    """Who has pressed the red button, in words; "" where nobody has."""
    halt = halts.halted()
    return halt.words() if halt is not None else ""


def files_gone(store: Store, added: Added) -> str:
    """Which of a schedule's files Redis has forgotten, and what to do; "" where none is."""
    gone = [
        path for path, (sha256, size) in added.files.items()
        if path in _stored(added) and not store.client.exists(names.file_chunks(sha256))
    ]  # fmt: skip
    return f"{', '.join(gone)} is no longer in Redis: add the schedule again" if gone else ""


def _stored(added: Added) -> frozenset[str]:
    """Paths that go through Redis: code does not, and what is behind a URL may not."""
    return frozenset(path for path in added.files if "://" not in path and not path.endswith(".py"))


def needs(added: Added) -> list[str]:
    """Hashes of what its runs need in Redis."""
    named = [sha256 for sha256, _ in added.files.values()]
    return [*named, *(trace.sha256 for trace in added.traces.values())]
