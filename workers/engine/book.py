"""The engine's account of its arrivals: handed, sent, ended; one place that counts each exactly once.

Feeds the recorder (for snapshots) and the mark file (for a supervisor that survives this process).
"""

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from workers.contract.snapshot import (
    ABANDONED,
    JUDGED,
    UNSENT_GENERATOR,
    UNSENT_TARGET,
    WARMUP,
    RetryCounts,
    SessionCounts,
)
from workers.engine.arrival import Arrival
from workers.engine.clockmap import Steer, monotonic_ns, phase_ns, retimed
from workers.engine.exchange import Exchange
from workers.engine.markfile import MarkFile
from workers.engine.measure import OK, Measured
from workers.engine.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

NS = 1_000_000_000


class Clock:
    """The phase's clock of this engine, steered by `retime`."""

    __slots__ = ("_from_ns", "_second", "_until_ns", "steer")

    def __init__(self, steer: Steer) -> None:
        self.steer = steer
        self._from_ns = self._until_ns = self._second = 0

    def now_ns(self) -> int:
        """Nanoseconds since the phase's second 0."""
        return phase_ns(self.steer, time.monotonic_ns())

    def monotonic_ns(self, at_ns: int) -> int:
        """Monotonic time of a moment of the phase."""
        return monotonic_ns(self.steer, at_ns)

    def second(self, now_ns: int) -> int:
        """The second of the phase at monotonic `now_ns`; its edges are as believed when first asked for."""
        if not self._from_ns <= now_ns < self._until_ns:
            self._second = phase_ns(self.steer, now_ns) // NS
            self._from_ns = self.monotonic_ns(self._second * NS)
            self._until_ns = self._from_ns + NS
        return self._second

    def retime(self, start_ns: int) -> None:
        """Steer second 0 towards a newly measured `start_ns`."""
        self._until_ns = 0
        self.steer = retimed(self.steer, goal_ns=start_ns, now_ns=time.monotonic_ns())


class Ledger(Protocol):
    """What whoever hands arrivals out tells of them: the book, or the conversations before it."""

    @property
    def clock(self) -> Clock:
        """The phase's clock."""

    def handed(self, arrival: Arrival, *, following: int) -> None:
        """A user takes the arrival."""

    def unsent_target(self, arrival: Arrival, *, following: int) -> None:
        """It stood in line for too long."""


class Book:
    """Counts of one attempt. `following`: the next own index to be handed over.

    `retries`, `sessions`: what such clients did since the last snapshot; None where there are none.
    `told_apart`: the groups of an arrival whose row nobody has read yet; None where all are of one.
    `warnings`: for the next snapshot.
    """

    __slots__ = (
        "_decided_up_to", "_earliest", "_marks", "_open", "_warmup_ns", "clock", "closed", "completions",
        "flying", "following", "recorder", "retries", "running", "sent", "sent_since", "sessions",
        "start_lag_s", "told_apart", "warnings",
    )  # fmt: skip

    def __init__(
        self, *, clock: Clock, recorder: Recorder, marks: MarkFile, first: int, warmup_s: float = 0.0
    ) -> None:
        self._warmup_ns = round(warmup_s * NS)
        self.clock = clock
        self.recorder = recorder
        self._marks = marks
        self._open: deque[Arrival] = deque()
        self._decided_up_to = -1
        self.following = first
        self.flying: dict[int, Arrival] = {}
        self.running: dict[int, int] = {}
        self.completions: dict[int, int] = {}
        self.sent = 0
        self.sent_since = 0
        self._earliest = sys.maxsize
        self.start_lag_s: float | None = None
        self.closed = False
        self.told_apart: Callable[[Arrival], tuple[str, ...]] | None = None
        self.warnings: list[str] = []
        self.retries: RetryCounts | None = None
        self.sessions: SessionCounts | None = None

    @property
    def dispatched(self) -> int:
        """All own indices below it are decided: sent, or given up."""
        while self._open and self._open[0].decided:
            self._open.popleft()
        return self._open[0].index if self._open else self.following

    def handed(self, arrival: Arrival, *, following: int) -> None:
        """A user takes the arrival; own indices below `following` are out of the dispatcher's hands."""
        if arrival.at_ns < self._warmup_ns:
            arrival.groups = (WARMUP,)
        self.following = following
        self._open.append(arrival)
        self.flying[arrival.index] = arrival
        self._marks.handed(arrival, following)

    def followed(self, arrival: Arrival) -> None:
        """A later turn of a conversation is begun; no schedule waits for it."""
        if arrival.at_ns < self._warmup_ns:
            arrival.groups = (WARMUP,)
        self.flying[arrival.index] = arrival
        self._marks.handed(arrival, self.following)

    def writing(self, arrival: Arrival) -> None:
        """Its first byte leaves now; of a later try the mark file knows nothing, for the first was sent."""
        if not arrival.sent_ns:
            self._marks.writing(arrival)

    def unwritten(self) -> None:
        """The request that was being written failed before its first byte left."""
        self._marks.unwritten()

    def left(self, arrival: Arrival, now_ns: int) -> None:
        """Its first byte was written at monotonic `now_ns`; however often tried, it is sent once."""
        if arrival.sent_ns:
            if self.retries is not None:
                self.retries.written += 1
            return
        arrival.sent_ns = now_ns
        arrival.decided = True
        self._decided_up_to = max(self._decided_up_to, arrival.index)
        self._marks.sent(arrival)
        self.sent += 1
        self.sent_since += 1
        if arrival.index < self._earliest:
            self._earliest = arrival.index
            self.start_lag_s = (now_ns - arrival.intended_ns) / NS
        second, flying = self.clock.second(now_ns), len(self.flying)
        if self.running.get(second, 0) < flying:
            self.running[second] = flying

    def ended(
        self,
        arrival: Arrival,
        sample: Measured,
        *,
        at_ns: int,
        tokens: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """An ok or failed request is over, at monotonic `at_ns`."""
        if not self._close(arrival):
            return
        counted = self.recorder.counted(sample)
        self._marks.ended(arrival, sample.outcome, counted)
        self.recorder.ended(
            arrival.second,
            arrival.groups,
            sample=sample,
            sent=bool(arrival.sent_ns),
            counted=counted,
            tokens=tokens,
        )
        second = self.clock.second(at_ns)
        self.completions[second] = self.completions.get(second, 0) + 1

    def ended_plain(
        self, arrival: Arrival, exchange: Exchange, *, late_ns: int, tokens: tuple[int | None, int | None]
    ) -> None:
        """As `ended`, in a third of the time: an ok request that was sent and has no times of a stream."""
        if arrival.ended or self.closed:
            return
        arrival.ended = True
        self.flying.pop(arrival.index, None)
        sent_ns, last_ns = exchange.sent_ns, exchange.last_ns
        intended_ns, wait_ns, connect_ns = arrival.intended_ns, arrival.wait_ns, exchange.connect_ns
        lag_ns = sent_ns - intended_ns - wait_ns - connect_ns
        own_delay_ns = late_ns + lag_ns if lag_ns > 0 else late_ns
        times = (last_ns - intended_ns, last_ns - sent_ns, wait_ns, connect_ns, lag_ns, own_delay_ns)
        counted = self.recorder.counted_plain(times)
        self._marks.ended(arrival, OK, counted)
        self.recorder.ended_plain(
            arrival.at_ns // NS, arrival.groups, times=times, counted=counted, tokens=tokens
        )
        second = self.clock.second(last_ns)
        self.completions[second] = self.completions.get(second, 0) + 1

    def unsent_target(self, arrival: Arrival, *, following: int) -> None:
        """It stood in line longer than the target's timeout: given up, and the target's doing."""
        self.handed(arrival, following=following)
        self.turned_away(arrival)

    def turned_away(self, arrival: Arrival) -> None:
        """It was handed over, and the target's doing kept it from being sent."""
        if self._close(arrival):
            if self.told_apart is not None and arrival.groups == (JUDGED,):
                arrival.groups = self.told_apart(arrival)
            counted = self.recorder.counted(Measured(UNSENT_TARGET, latency=0.0))
            self._marks.ended(arrival, UNSENT_TARGET, counted)
            self.recorder.given_up(arrival.second, arrival.groups, UNSENT_TARGET, counted)

    def unsent_generator(self, arrival: Arrival) -> None:
        """It was handed over and could not be sent, by this side's doing."""
        self._give_up(arrival, UNSENT_GENERATOR)

    def refused(self, arrival: Arrival) -> None:
        """The fence did not let it out: undecided, it is for a successor to take, unless a try was sent."""
        arrival.ended = not arrival.sent_ns

    def seal(self) -> None:
        """Give up everything still open; nothing is counted afterwards.

        Sent ones are abandoned. Of those handed but not sent, those below the last decided index are unsent;
        from the first one above it on all are undecided, and `dispatched` says so.
        """
        for arrival in list(self.flying.values()):
            if arrival.sent_ns and not arrival.ended:
                self._give_up(arrival, ABANDONED)
        for arrival in [arrival for arrival in self._open if not arrival.decided]:
            if arrival.index < self._decided_up_to:
                arrival.ended = False
                self._give_up(arrival, UNSENT_GENERATOR)
        if self.sessions is not None:
            self._seal_turns(self.sessions)
        self.closed = True

    def drain_seconds(self) -> tuple[dict[int, int], dict[int, int]]:
        """(highest in flight, answers) by second of the phase since the last call."""
        second = self.clock.now_ns() // NS
        self.running[second] = max(self.running.get(second, 0), len(self.flying))
        running, self.running = self.running, {}
        completions, self.completions = self.completions, {}
        return running, completions

    def drain_behaviour(self, sent: int) -> tuple[RetryCounts | None, SessionCounts | None]:
        """What clients that try again, or talk in turns, did since the last call, `sent` requests ago."""
        retries, sessions = self.retries, self.sessions
        if retries is not None:
            retries.written += sent
            self.retries = RetryCounts()
        if sessions is not None:
            self.sessions = SessionCounts(offered=sessions.offered, waiting=sessions.waiting)
        return retries, sessions

    def in_flight(self) -> list[int]:
        """Own indices handed out and not yet ended."""
        return list(self.flying)

    def _seal_turns(self, sessions: SessionCounts) -> None:
        """Later turns that were not sent are so for good; first turns left undecided were not offered."""
        firsts = {id(arrival) for arrival in self._open}
        for arrival in [one for one in self.flying.values() if not one.decided]:
            if id(arrival) in firsts:
                sessions.offered -= 1
            else:
                arrival.ended = False
                self._give_up(arrival, UNSENT_GENERATOR)

    def _give_up(self, arrival: Arrival, outcome: str) -> None:
        if self._close(arrival):
            self._marks.ended(arrival, outcome, ())
            self.recorder.given_up(arrival.second, arrival.groups, outcome)

    def _close(self, arrival: Arrival) -> bool:
        """Note that an arrival is over; False where it was already, or where the book is sealed."""
        if arrival.ended or self.closed:
            return False
        arrival.ended = True
        arrival.decided = True
        self._decided_up_to = max(self._decided_up_to, arrival.index)
        self.flying.pop(arrival.index, None)
        return True
