"""What people and scripts are shown of a fleet: the shapes, which are the keys of `--json`; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.coordinator.cards import Coordinators
from orchestrator.live.view import LiveActivity, LiveView
from orchestrator.overview.roster import Worker
from orchestrator.overview.summary import LostAttempt, Stage, Summary
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import Keys

WITHOUT_ENGINE = ("chaos", "telemetry")
"""Kinds of activity that hold no slot."""
NEWS_WITHIN_S = names.LEADER_LEASE_S + 2.0
"""Live pictures come twice a second; one older than a change of leaders takes tells nothing of now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignLine:
    """One campaign in a line; the field names are keys of `list --json` and `status --json`.

    `state`: submitted, queued, waiting (for a person), placing, running, stopping, writing, over; `verdict`:
    "" until it ended, and "unknown" where its journal has expired. Moments are seconds since 1970 of the
    common clock; `took_s`: so far, while it lives. `phase` to `failed`: of a live one, None where there is
    nothing to tell. `share`: of its phase. `rate_per_s`, `p99_s`: of the last 10 s; p99 of its slowest
    activity. `note`: what it waits for. `approved_by`: who let its phases begin.
    """

    id: str
    state: Stage
    verdict: str = ""
    submitted_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    took_s: float = 0.0
    submitted_by: str = ""
    key: str = ""
    aborted_by: str = ""
    aborted_key: str = ""
    approved_by: tuple[str, ...] = ()
    labels: Mapping[str, str]
    phase: str = ""
    phase_number: int | None = None
    phases: int | None = None
    share: float | None = None
    rate_per_s: float | None = None
    p99_s: float | None = None
    failed: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseLine:
    """What became of a phase."""

    name: str
    verdict: str
    reasons: tuple[str, ...]
    skipped_because: str
    started_s: float | None
    ended_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A note, or something that was said and does not count, in words."""

    at_s: float
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookLine:
    """A step of a game day's runbook; `done_s` and `by`: when somebody did it, 0 and "" where nobody has."""

    step: str
    text: str
    command: str
    role: str
    done_s: float = 0.0
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPicture:
    """All that `status ID` says; the field names are the keys of its `--json`.

    `results`: names of the files that Redis keeps, for `kept_s` more. `place`: where the leader keeps them,
    "" where that is not known. `attempts_lost`: attempts that did not end well.
    """

    campaign: CampaignLine
    reasons: tuple[str, ...]
    phases: tuple[PhaseLine, ...]
    activities: tuple[LiveActivity, ...]
    attempts: int
    attempts_lost: tuple[LostAttempt, ...]
    waits: Mapping[str, str]
    notes: tuple[Remark, ...]
    refusals: tuple[Remark, ...]
    results: tuple[str, ...]
    kept_s: float
    place: str
    flower: str
    runbook: tuple[RunbookLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltLine:
    """The red button is pressed; by whom, and with which key.

    `doubt`: why our own keys do not vouch for it, "" where they do.
    """

    by: str
    why: str
    at_s: float
    doubt: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPicture:
    """All that `status` says; the field names are the keys of its `--json`."""

    at_s: float
    coordinators: Coordinators
    halted: HaltLine | None
    workers: tuple[Worker, ...]
    slots: int
    slots_free: int
    flower: str
    campaigns: tuple[CampaignLine, ...]
    broker_trouble: str = ""


def line_of(
    summary: Summary, view: LiveView | None, *, finished: bool, ended_s: float | None, now_s: float
) -> CampaignLine:
    """A campaign in a line, from its journal and its live picture. Pure."""
    stage = summary.stage(finished=finished)
    end = summary.state.ended
    ended_s = end.at_s if end is not None else ended_s
    until_s = ended_s if ended_s is not None else now_s
    verdict = end.verdict if end is not None else "unknown" if finished else ""
    line = CampaignLine(
        id=summary.id,
        state=stage,
        verdict=verdict,
        submitted_s=summary.submitted_s,
        started_s=summary.started_s,
        ended_s=ended_s,
        took_s=max(0.0, until_s - summary.submitted_s) if summary.submitted_s else 0.0,
        submitted_by=summary.submitted_by,
        key=summary.key,
        aborted_by=summary.aborted_by,
        aborted_key=summary.aborted_key,
        approved_by=summary.approved_by,
        labels=dict(summary.labels),
        phase=summary.state.current_phase() or "",
        note=_note(summary),
    )
    if finished or view is None:
        return line
    silent_s = now_s - view.at_s
    if silent_s > NEWS_WITHIN_S:
        note = f"no coordinator has said anything of it for {silent_s:.0f} s"
        return replace(line, note="; ".join(filter(None, (line.note, note))))
    return with_view(line, view)


def with_view(line: CampaignLine, view: LiveView) -> CampaignLine:
    """The line of a live campaign with what its leader published last. Pure."""
    loads = [one for one in view.activities if one.kind not in WITHOUT_ENGINE]
    slowest = [one.p99_s for one in loads if one.p99_s is not None]
    note = line.note or "; ".join(view.waits)
    stage: Stage = line.state
    if view.waits and line.state == "submitted":
        stage = "waiting" if any("waits for the approval" in one for one in view.waits) else "queued"
    elif view.waits and line.state == "running" and not line.phase:
        stage = "waiting"
    line = replace(line, state=stage, phase_number=view.phase_number, phases=view.phases, note=note)
    if not loads or view.phase != line.phase:
        return line
    return replace(
        line,
        share=min(one.share for one in loads),
        rate_per_s=sum(one.rate_per_s for one in loads),
        p99_s=max(slowest, default=None),
        failed=sum(one.failed for one in loads),
    )


def halt_line(found: Mapping[bytes, bytes], *, keys: Keys, now_s: float) -> HaltLine | None:
    """The halt that holds, from what stands in Redis; None where none does. Pure.

    One that these keys do not vouch for is shown all the same, with why: workers with other keys may obey it.
    """
    sure, doubts = Halts(keys), Halts(Keys())
    why = sure.read(found, now_s=now_s)
    press = sure.halted()
    if press is not None:
        return HaltLine(by=press.by, why=press.why, at_s=press.at_s, key=press.key)
    doubts.read(found, now_s=now_s)
    press = doubts.halted()
    if press is None:
        return None
    return HaltLine(by=press.by, why=press.why, at_s=press.at_s, doubt="; ".join(why))


def refusal(fact: f.Refused | f.TaskRefused) -> Remark:
    """What somebody seems to have said and does not count, in words."""
    if isinstance(fact, f.TaskRefused):
        return Remark(at_s=fact.at_s, by=fact.worker, text=f"a task for {fact.attempt}: {fact.why}")
    return Remark(at_s=fact.at_s, by=fact.by, text=f"{fact.what}: {fact.why}")


def _note(summary: Summary) -> str:
    """What a live campaign is held up by."""
    state = summary.state
    if state.aborting is not None:
        return state.aborting.why or f"aborted by {state.aborting.by}"
    return "; ".join(sorted(set(summary.waits.values()))[:3])
