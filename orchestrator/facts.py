"""The journal folded into state: `fold(state, fact) -> state`, pure and incremental; many facts at once too.

The first terminal fact of an attempt in stream order wins; whatever is said of it later is kept out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from msgspec.structs import replace as replace_fields

from workers.contract import facts as f
from workers.contract.broker.names import FENCE_MARGIN_S

AttemptFact = (
    f.Claimed | f.NotReady | f.Ready | f.Resumed | f.Draining | f.HandedOver | f.Yielded | f.Lost | f.Exited
)
"""What is said of one attempt once it is placed."""
CampaignFact = (
    f.Submitted
    | f.AbortAsked
    | f.Noted
    | f.Accepted
    | f.Refused
    | f.TaskRefused
    | f.Aborting
    | f.Ended
    | f.Observed
    | f.StepDone
    | f.Revealed
    | f.Posed
    | f.AnnounceFailed
)
"""What is said of the campaign as a whole, or of no part of it."""
PhaseFact = f.PhaseOpened | f.PhaseSkipped | f.PhaseStarted | f.FaultsWithheld | f.PhaseEnded
"""What is said of a phase as a whole."""
GateFact = f.ApprovalAsked | f.GateReached | f.Approved | f.Denied
"""What is said of the approval of a phase."""
WatchFact = f.AlertSeen | f.Gauged | f.Silenced
"""What an attempt that watches a phase says."""
Status = Literal["placed", "claimed", "waiting", "ready", "running", "over"]
_Table = Literal[
    "phases", "attempts", "live", "shards", "faults", "strangers", "gates", "watched", "stations"
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a shard.

    `from_s`: seconds since the phase's start from which it takes arrivals; None until it was told to start.
    `skip_rows`: golden rows that earlier attempts have judged.
    `exited` or `lost` is its terminal fact. `not_ready`: what it waits for, in plain words.
    `draining`: its worker wants to be rid of it. `until_s`: seconds since the phase's start from which its
    successor takes arrivals; None where it was not told to hand over. `yielded`: it has promised so.
    `witnessed`: how a lost one ended, where somebody who knows told of it later.
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
    draining: bool = False
    until_s: float | None = None
    yielded: bool = False
    witnessed: f.Exited | None = None

    @property
    def live(self) -> bool:
        """Whether it may still be working."""
        return self.status != "over"

    @property
    def known_end(self) -> f.Exited | None:
        """How it ended, where all that it did is known: it said so itself, or somebody who saw it."""
        end = self.witnessed or self.exited
        return end if end is not None and end.known else None


@dataclass(frozen=True, slots=True)
class Phase:
    """What became of a phase; times are common time, None while it has not happened."""

    opened_s: float | None = None
    start_s: float | None = None
    ended_s: float | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    skipped_because: str = ""
    withheld: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more happens in it."""
        return self.ended_s is not None or bool(self.skipped_because)


@dataclass(frozen=True, slots=True)
class Gate:
    """The approval that a phase needs: who was asked, until when it is waited for, and the first answer."""

    asked: f.ApprovalAsked | None = None
    until_s: float | None = None
    approved: f.Approved | None = None
    denied: f.Denied | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the journal says of one campaign so far.

    `live`: those of the attempts that may still be working: a campaign that ran for a night has far more that
    are over. `shards`: (activity, shard) -> ids of its attempts in order. `faults`: attempt -> its steps in
    order. `refusals`: what was said and does not count. `strangers`: attempts that were claimed before they
    were placed -> worker. `gates`: phase -> its approval. `observed`, `steps`, `revealed`: what people saw,
    did of the runbook, and showed everybody. `posed`: faults of a rehearsal. `stations`: activity -> the
    workers that its faults' proxies stand on.
    `watched`: attempt -> what it saw of alerts and gauges, and did of silences, in order.
    """

    submitted: f.Submitted | None = None
    phases: dict[str, Phase] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    live: dict[str, Attempt] = field(default_factory=dict)
    shards: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    faults: dict[str, tuple[f.FaultSeen, ...]] = field(default_factory=dict)
    watched: dict[str, tuple[WatchFact, ...]] = field(default_factory=dict)
    strangers: dict[str, str] = field(default_factory=dict)
    accepted: f.Accepted | None = None
    notes: tuple[f.Noted, ...] = ()
    gates: dict[str, Gate] = field(default_factory=dict)
    observed: tuple[f.Observed, ...] = ()
    steps: tuple[f.StepDone, ...] = ()
    revealed: tuple[f.Revealed, ...] = ()
    posed: tuple[f.Posed, ...] = ()
    unannounced: tuple[f.AnnounceFailed, ...] = ()
    refusals: tuple[f.Refused | f.TaskRefused, ...] = ()
    abort_asked: f.AbortAsked | None = None
    aborting: f.Aborting | None = None
    ended: f.Ended | None = None
    stations: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def campaign(self) -> str:
        """Its id; "" before it is submitted."""
        return self.submitted.campaign if self.submitted is not None else ""

    def current_phase(self) -> str | None:
        """The name of the phase that is open now."""
        return next((name for name, phase in self.phases.items() if not phase.over), None)

    def is_torn(self, phase: str) -> bool:
        """Whether engines may have worked in a phase of which the journal has lost that they were told to."""
        ended_s = self.phases[phase].ended_s
        stop = self.aborting
        return stop is not None and stop.torn and (ended_s is None or ended_s >= stop.at_s)

    def last_attempt(self, activity: str, shard: int) -> Attempt | None:
        """The newest try at a shard."""
        ids = self.shards.get((activity, shard), ())
        return self.attempts[ids[-1]] if ids else None

    def live_in(self, phase: str) -> list[Attempt]:
        """A phase's attempts that may still be working."""
        return [attempt for attempt in self.live.values() if attempt.phase == phase]

    def attempts_of(self, activity: str) -> tuple[Attempt, ...]:
        """All tries at all shards of an activity, by shard and number."""
        found = [attempt for attempt in self.attempts.values() if attempt.activity == activity]
        return tuple(sorted(found, key=lambda attempt: (attempt.shard, attempt.number)))


def fold(state: State, fact: f.Fact) -> State:
    """The state after one more fact of the journal."""
    return fold_all(state, (fact,))


def fold_all(state: State, facts: Iterable[f.Fact]) -> State:
    """The state after these facts of the journal, in order; as if folded one by one.

    A table is copied once for all of them, so many facts cost little more than one.
    """
    batch = _Batch(state)
    for fact in facts:
        _take(batch, fact)
    return batch.state


@dataclass(slots=True)
class _Batch:
    """The state so far; `own`: its tables that nobody else holds, so that they may be changed in place."""

    state: State
    own: set[_Table] = field(default_factory=set)

    def table(self, name: _Table) -> dict[Any, Any]:
        """One of the state's tables, to be changed."""
        if name not in self.own:
            self.own.add(name)
            copied: dict[str, Any] = {name: dict(getattr(self.state, name))}
            self.state = replace(self.state, **copied)
        found: dict[Any, Any] = getattr(self.state, name)
        return found

    def put(self, attempt: Attempt) -> None:
        """An attempt as it is from now on."""
        self.table("attempts")[attempt.id] = attempt
        if attempt.live:
            self.table("live")[attempt.id] = attempt
        elif attempt.id in self.state.live:
            del self.table("live")[attempt.id]


def _take(batch: _Batch, fact: f.Fact) -> None:
    match fact:
        case f.PhaseOpened() | f.PhaseSkipped() | f.PhaseStarted() | f.FaultsWithheld() | f.PhaseEnded():
            _take_phase(batch, fact)
        case f.Placed():
            _take_placed(batch, fact)
        case f.FaultSeen():
            faults = batch.table("faults")
            faults[fact.attempt] = (*faults.get(fact.attempt, ()), fact)
        case (
            f.Submitted() | f.AbortAsked() | f.Noted() | f.Accepted() | f.Refused() | f.TaskRefused()
            | f.Aborting() | f.Ended() | f.Observed() | f.StepDone() | f.Revealed() | f.Posed()
            | f.AnnounceFailed()
        ):  # fmt: skip
            batch.state = _of_campaign(batch.state, fact)
        case f.AlertSeen() | f.Gauged() | f.Silenced():
            _take_watched(batch, fact)
        case f.Stationed():
            batch.table("stations").setdefault(fact.activity, fact.workers)
        case f.ApprovalAsked() | f.GateReached() | f.Approved() | f.Denied():
            batch.table("gates")[fact.phase] = _gate(batch.state.gates.get(fact.phase, Gate()), fact)
        case _:
            _take_attempt(batch, fact)


def _of_campaign(state: State, fact: CampaignFact) -> State:
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
        case _:
            return _of_people(state, fact)


def _of_people(
    state: State, fact: f.Observed | f.StepDone | f.Revealed | f.Posed | f.AnnounceFailed
) -> State:
    match fact:
        case f.Observed():
            return replace(state, observed=(*state.observed, fact))
        case f.StepDone():
            return replace(state, steps=(*state.steps, fact))
        case f.Revealed():
            return replace(state, revealed=(*state.revealed, fact))
        case f.Posed():
            return replace(state, posed=(*state.posed, fact))
        case f.AnnounceFailed():
            return replace(state, unannounced=(*state.unannounced, fact))


def _gate(gate: Gate, fact: GateFact) -> Gate:
    """A gate after one more fact; who approved first, and who denied first, stand."""
    match fact:
        case f.ApprovalAsked():
            return replace(gate, asked=gate.asked or fact)
        case f.GateReached():
            return replace(gate, until_s=fact.until_s if gate.until_s is None else gate.until_s)
        case f.Approved():
            return replace(gate, approved=gate.approved or fact)
        case f.Denied():
            return replace(gate, denied=gate.denied or fact)


def _take_watched(batch: _Batch, fact: WatchFact) -> None:
    attempt = batch.state.attempts.get(fact.attempt)
    if attempt is None or batch.state.phases.get(attempt.phase, Phase()).ended_s is not None:
        return  # whoever judges a phase again must say the same
    watched = batch.table("watched")
    watched[fact.attempt] = (*watched.get(fact.attempt, ()), fact)


def _take_phase(batch: _Batch, fact: PhaseFact) -> None:
    phase = batch.state.phases.get(fact.phase, Phase())
    match fact:
        case f.PhaseOpened():
            phase = replace(phase, opened_s=fact.at_s)
        case f.PhaseSkipped():
            phase = replace(phase, skipped_because=fact.why)
        case f.PhaseStarted():
            phase = replace(phase, start_s=fact.start_s)
            for attempt in batch.state.live_in(fact.phase):
                batch.put(replace(attempt, status="running", from_s=0.0))
        case f.FaultsWithheld():
            phase = replace(phase, withheld=phase.withheld or fact.why)
        case f.PhaseEnded():
            phase = replace(phase, ended_s=fact.at_s, verdict=fact.verdict, reasons=fact.reasons)
    batch.table("phases")[fact.phase] = phase


def _take_placed(batch: _Batch, fact: f.Placed) -> None:
    if fact.attempt in batch.state.attempts:
        return  # said twice: what came of it since then stands
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
    batch.put(attempt)
    shards = batch.table("shards")
    key = (fact.activity, fact.shard)
    shards[key] = (*shards.get(key, ()), fact.attempt)


def _take_attempt(batch: _Batch, fact: AttemptFact) -> None:
    attempt = batch.state.attempts.get(fact.attempt)
    if attempt is None and isinstance(fact, f.Claimed):
        batch.table("strangers")[fact.attempt] = fact.worker
    if attempt is None or batch.state.phases.get(attempt.phase, Phase()).ended_s is not None:
        return  # a phase that was judged stays as it was: whoever judges it again must say the same
    after = _after(attempt, fact) if attempt.live else _silent_sooner(attempt, fact)
    if after is not attempt:
        batch.put(after)


def _after(attempt: Attempt, fact: AttemptFact) -> Attempt:
    """A live attempt after one more fact about it."""
    if attempt.status == "running" and isinstance(fact, f.Claimed | f.NotReady | f.Ready):
        # said again after a failover: nothing goes back to before its start
        return attempt
    match fact:
        case f.Claimed():
            return replace(attempt, status="claimed")
        case f.NotReady():
            return replace(attempt, status="waiting", not_ready=fact.why)
        case f.Ready():
            return replace(attempt, status="ready", not_ready="", fingerprint=(fact.fingerprint, fact.numpy))
        case f.Resumed():
            return replace(attempt, status="running", from_s=fact.from_s)
        case f.Draining():
            return replace(attempt, draining=True)
        case f.HandedOver():
            until_s = attempt.until_s if attempt.until_s is not None else fact.until_s
            return replace(attempt, until_s=until_s)
        case f.Yielded():
            return _yielded(attempt, fact)
        case f.Lost():
            return replace(attempt, status="over", lost=fact)
        case f.Exited():
            return replace(attempt, status="over", exited=fact)


def _yielded(attempt: Attempt, fact: f.Yielded) -> Attempt:
    """It promised, perhaps a later moment than it was told: what was under way by then it had begun."""
    return replace(attempt, yielded=True, until_s=max(attempt.until_s or 0.0, fact.until_s))


def _silent_sooner(attempt: Attempt, fact: AttemptFact) -> Attempt:
    """A lost attempt stays lost; who witnessed its end, or its promise, brings the fence forward to it."""
    if attempt.lost is not None and isinstance(fact, f.Yielded):
        return _yielded(attempt, fact)
    if attempt.lost is None or not isinstance(fact, f.Exited) or not fact.silent_s:
        return attempt
    fence_s = min(attempt.lost.fence_s, fact.silent_s + FENCE_MARGIN_S)
    witnessed = fact if fact.known else attempt.witnessed
    return replace(attempt, lost=replace_fields(attempt.lost, fence_s=fence_s), witnessed=witnessed)
