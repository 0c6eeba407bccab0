"""The journal folded into state: `fold(state, fact) -> state`, pure and incremental.

The first terminal fact of an attempt in stream order wins; whatever is said of it later is kept out.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from msgspec.structs import replace as replace_fields

from workers.contract import facts as f
from workers.contract.names import FENCE_MARGIN_S

Status = Literal["placed", "claimed", "waiting", "ready", "running", "over"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a shard.

    `from_s`: seconds since the phase's start from which it takes arrivals; None until it was told to start.
    `skip_rows`: golden rows that earlier attempts have judged.
    `exited` or `lost` is its terminal fact. `not_ready`: what it waits for, in plain words.
    """

    id: str
    phase: str
    activity: str
    shard: int
    of: int
    number: int
    worker: str
    incarnation: str
    host: str
    placed_s: float
    status: Status = "placed"
    from_s: float | None = None
    not_ready: str = ""
    fingerprint: tuple[str, str] = ("", "")
    exited: f.Exited | None = None
    lost: f.Lost | None = None
    skip_rows: tuple[int, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it may still be working."""
        return self.status != "over"


@dataclass(frozen=True, slots=True)
class Phase:
    """What became of a phase; times are common time, None while it has not happened."""

    opened_s: float | None = None
    start_s: float | None = None
    ended_s: float | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    skipped_because: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more happens in it."""
        return self.ended_s is not None or bool(self.skipped_because)


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the journal says of one campaign so far.

    `shards`: (activity, shard) -> ids of its attempts in order. `faults`: attempt -> its steps in order.
    `refusals`: what was said and does not count.
    """

    submitted: f.Submitted | None = None
    phases: dict[str, Phase] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    shards: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    faults: dict[str, tuple[f.FaultSeen, ...]] = field(default_factory=dict)
    accepted: f.Accepted | None = None
    notes: tuple[f.Noted, ...] = ()
    refusals: tuple[f.Refused | f.TaskRefused, ...] = ()
    abort_asked: f.AbortAsked | None = None
    aborting: f.Aborting | None = None
    ended: f.Ended | None = None

    def current_phase(self) -> str | None:
        """The name of the phase that is open now."""
        return next((name for name, phase in self.phases.items() if not phase.over), None)

    def last_attempt(self, activity: str, shard: int) -> Attempt | None:
        """The newest try at a shard."""
        ids = self.shards.get((activity, shard), ())
        return self.attempts[ids[-1]] if ids else None

    def attempts_of(self, activity: str) -> tuple[Attempt, ...]:
        """All tries at all shards of an activity, by shard and number."""
        found = [attempt for attempt in self.attempts.values() if attempt.activity == activity]
        return tuple(sorted(found, key=lambda attempt: (attempt.shard, attempt.number)))


def fold(state: State, fact: f.Fact) -> State:
    """The state after one more fact of the journal."""
    match fact:
        case f.Submitted():
            return replace(state, submitted=state.submitted or fact)
        case f.AbortAsked():
            return replace(state, abort_asked=state.abort_asked or fact)
        case f.Noted():
            return replace(state, notes=(*state.notes, fact))
        case f.Accepted():
            return replace(state, accepted=state.accepted or fact)
        case f.Refused() | f.TaskRefused():
            return replace(state, refusals=(*state.refusals, fact))
        case f.Aborting():
            return replace(state, aborting=state.aborting or fact)
        case f.Ended():
            return replace(state, ended=state.ended or fact)
        case f.PhaseOpened() | f.PhaseSkipped() | f.PhaseStarted() | f.PhaseEnded():
            return _fold_phase(state, fact)
        case f.Placed():
            return _fold_placed(state, fact)
        case f.FaultSeen():
            steps = (*state.faults.get(fact.attempt, ()), fact)
            return replace(state, faults={**state.faults, fact.attempt: steps})
        case _:
            return _fold_attempt(state, fact)


def _fold_phase(state: State, fact: f.PhaseOpened | f.PhaseSkipped | f.PhaseStarted | f.PhaseEnded) -> State:
    phase = state.phases.get(fact.phase, Phase())
    match fact:
        case f.PhaseOpened():
            phase = replace(phase, opened_s=fact.at_s)
        case f.PhaseSkipped():
            phase = replace(phase, skipped_because=fact.why)
        case f.PhaseStarted():
            phase = replace(phase, start_s=fact.start_s)
        case f.PhaseEnded():
            phase = replace(phase, ended_s=fact.at_s, verdict=fact.verdict, reasons=fact.reasons)
    attempts = state.attempts
    if isinstance(fact, f.PhaseStarted):
        attempts = {
            id_: replace(attempt, status="running", from_s=0.0)
            if attempt.live and attempt.phase == fact.phase
            else attempt
            for id_, attempt in attempts.items()
        }
    return replace(state, phases={**state.phases, fact.phase: phase}, attempts=attempts)


def _fold_placed(state: State, fact: f.Placed) -> State:
    attempt = Attempt(
        id=fact.attempt,
        phase=fact.phase,
        activity=fact.activity,
        shard=fact.shard,
        of=fact.of,
        number=fact.number,
        worker=fact.worker,
        incarnation=fact.incarnation,
        host=fact.host,
        placed_s=fact.at_s,
        skip_rows=fact.skip_rows,
    )
    key = (fact.activity, fact.shard)
    return replace(
        state,
        attempts={**state.attempts, fact.attempt: attempt},
        shards={**state.shards, key: (*state.shards.get(key, ()), fact.attempt)},
    )


def _fold_attempt(
    state: State, fact: f.Claimed | f.NotReady | f.Ready | f.Resumed | f.Lost | f.Exited
) -> State:
    attempt = state.attempts.get(fact.attempt)
    if attempt is None:
        return state
    if not attempt.live:
        return _silent_sooner(state, attempt, fact)
    if attempt.status == "running" and isinstance(fact, f.Claimed | f.NotReady | f.Ready):
        # said again after a failover: nothing goes back to before its start
        return state
    match fact:
        case f.Claimed():
            attempt = replace(attempt, status="claimed")
        case f.NotReady():
            attempt = replace(attempt, status="waiting", not_ready=fact.why)
        case f.Ready():
            attempt = replace(
                attempt, status="ready", not_ready="", fingerprint=(fact.fingerprint, fact.numpy)
            )
        case f.Resumed():
            attempt = replace(attempt, status="running", from_s=fact.from_s)
        case f.Lost():
            attempt = replace(attempt, status="over", lost=fact)
        case f.Exited():
            attempt = replace(attempt, status="over", exited=fact)
    return replace(state, attempts={**state.attempts, fact.attempt: attempt})


def _silent_sooner(state: State, attempt: Attempt, fact: f.Fact) -> State:
    """A lost attempt stays lost; but who witnessed its end brings the fence forward to it."""
    if attempt.lost is None or not isinstance(fact, f.Exited) or not fact.silent_s:
        return state
    fence_s = min(attempt.lost.fence_s, fact.silent_s + FENCE_MARGIN_S)
    lost = replace_fields(attempt.lost, fence_s=fence_s)
    return replace(state, attempts={**state.attempts, attempt.id: replace(attempt, lost=lost)})
