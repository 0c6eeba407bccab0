"""One campaign in short, from its journal: what `list` and `status` say of it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.facts import State, fold
from workers.contract import facts as f

Stage = Literal["submitted", "queued", "waiting", "placing", "running", "stopping", "writing", "over"]
ENDED_WELL = ("done", "stopped")
"""Outcomes of an attempt that nobody needs to be told of."""
_SAID_OF_ALL = (
    f.Submitted, f.AbortAsked, f.Noted, f.Accepted, f.Refused, f.TaskRefused, f.PhaseOpened, f.PhaseSkipped,
    f.PhaseStarted, f.FaultsWithheld, f.PhaseEnded, f.Aborting, f.Ended, f.Observed, f.StepDone, f.Revealed,
    f.Posed, f.ApprovalAsked, f.GateReached, f.Approved, f.Denied,
)  # fmt: skip
"""Facts of the campaign as a whole; those of its attempts are counted, which 10,000 shards need."""


@dataclass(frozen=True, slots=True)
class LostAttempt:
    """An attempt that did not end well, when, and why."""

    attempt: str
    worker: str
    why: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the journal says. `state` is folded without attempts.

    `working`: attempt -> (activity, worker) of those that may be at work. `waits`: what attempts wait for.
    `notes`: remarks, and what people saw, that the leader has not refused. `unread`: entries that this
    version cannot read.
    """

    id: str
    state: State = field(default_factory=State)
    placed: int = 0
    working: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[LostAttempt, ...] = ()
    notes: tuple[f.Noted | f.Observed, ...] = ()
    approvals: Mapping[str, f.Approved] = field(default_factory=dict)
    unread: int = 0

    @property
    def submitted_by(self) -> str:
        """Who sent it, as they said."""
        return self.state.submitted.by if self.state.submitted is not None else ""

    @property
    def key(self) -> str:
        """The key that the submission was signed with; "" where the fleet has none, or nobody looked yet.

        Of a scheduled one the key of its schedule.
        """
        if self.state.submitted is not None and self.state.submitted.schedule_key:
            return self.state.submitted.schedule_key
        return self.state.accepted.key if self.state.accepted is not None else ""

    @property
    def aborted_by(self) -> str:
        """The person who stopped it, "" where none did."""
        aborting = self.state.aborting
        return aborting.by if aborting is not None and aborting.verdict == "aborted" else ""

    @property
    def aborted_key(self) -> str:
        """The key of the word that stopped it, as `key`."""
        aborting = self.state.aborting
        return aborting.key if aborting is not None and aborting.verdict == "aborted" else ""

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who approved which phase of it: `ada: faults`; those that the leader refused are left out."""
        return tuple(f"{one.by}: {phase}" for phase, one in self.approvals.items())

    @property
    def labels(self) -> Mapping[str, str]:
        """The submitter's own words for it."""
        return self.state.submitted.labels if self.state.submitted is not None else {}

    @property
    def submitted_s(self) -> float:
        """When it was submitted, common time; 0 where that is not known."""
        return self.state.submitted.at_s if self.state.submitted is not None else 0.0

    @property
    def started_s(self) -> float | None:
        """When its first phase began."""
        starts = [phase.start_s for phase in self.state.phases.values() if phase.start_s is not None]
        return min(starts, default=None)

    def stage(self, *, finished: bool) -> Stage:
        """Where it stands; `finished`: its results are written."""
        if finished:
            return "over"
        if self.state.ended is not None:
            return "writing"
        if self.state.aborting is not None:
            return "stopping"
        phase = self.state.phases.get(self.state.current_phase() or "")
        if phase is not None:
            return "placing" if phase.start_s is None else "running"
        return "running" if self.state.phases else "submitted"

    def held(self, without: Iterable[str] = ()) -> Counter[str]:
        """Engine slots that it holds, by worker; `without`: keys of activities that need no engine."""
        idle = set(without)
        return Counter(worker for activity, worker in self.working.values() if activity not in idle)


def summarise(id_: str, entries: Iterable[tuple[float, f.Fact | None]]) -> Summary:
    """A campaign's facts in order as a summary.

    With each, the common time at which it came into the journal; None for one that cannot be read.
    """
    state = State()
    placed: dict[str, tuple[str, str]] = {}
    working: dict[str, tuple[str, str]] = {}
    waits: dict[str, str] = {}
    lost: list[LostAttempt] = []
    notes: dict[tuple[str, float], f.Noted | f.Observed] = {}
    approvals: dict[tuple[str, float], f.Approved] = {}
    unread = 0
    for came_s, fact in entries:
        match fact:
            case None:
                unread += 1
            case f.Placed():
                placed[fact.attempt] = working[fact.attempt] = fact.activity, fact.worker
            case f.NotReady() if fact.attempt in working:
                waits[fact.attempt] = fact.why
            case f.Ready():
                waits.pop(fact.attempt, None)
            case f.Lost() | f.Exited():
                first = working.pop(fact.attempt, None)
                waits.pop(fact.attempt, None)
                bad = isinstance(fact, f.Lost) or fact.outcome not in ENDED_WELL
                if first is not None and bad:
                    why = fact.why or (fact.outcome if isinstance(fact, f.Exited) else "")
                    lost.append(LostAttempt(fact.attempt, first[1], why, fact.at_s))
            case _ if isinstance(fact, _SAID_OF_ALL):
                state = fold(state, fact)
                if isinstance(fact, f.Noted | f.Observed):
                    notes[fact.by, came_s] = fact
                elif isinstance(fact, f.Approved):
                    approvals[fact.by, came_s] = fact
                elif isinstance(fact, f.Refused) and fact.what == "note":
                    notes.pop((fact.by, fact.at_s), None)  # a refusal names the moment of what it refuses
                elif isinstance(fact, f.Refused) and fact.what == "approval":
                    approvals.pop((fact.by, fact.at_s), None)
            case _:
                pass
    return Summary(
        id=id_,
        state=state,
        placed=len(placed),
        working=working,
        waits=waits,
        lost=tuple(lost),
        notes=tuple(notes.values()),
        approvals={one.phase: one for one in approvals.values()},
        unread=unread,
    )
