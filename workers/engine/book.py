"""The engine's account of its arrivals: handed, sent, ended; one place that counts each exactly once.

Feeds the recorder (for snapshots) and the mark file (for a supervisor that survives this process).
"""

import sys
import time
from collections import deque

from workers.contract.snapshot import ABANDONED, UNSENT_GENERATOR, UNSENT_TARGET, WARMUP
from workers.engine.arrival import Arrival
from workers.engine.clockmap import Steer, monotonic_ns, phase_ns, retimed
from workers.engine.markfile import MarkFile
from workers.engine.measure import Measured
from workers.engine.recorder import Recorder

NS = 1_000_000_000


class Clock:
    """The phase's clock of this engine, steered by `retime`."""

    __slots__ = ("steer",)

    def __init__(self, steer: Steer) -> None:
        self.steer = steer

    def now_ns(self) -> int:
        """Nanoseconds since the phase's second 0."""
        return phase_ns(self.steer, time.monotonic_ns())

    def monotonic_ns(self, at_ns: int) -> int:
        """Monotonic time of a moment of the phase."""
        return monotonic_ns(self.steer, at_ns)

    def retime(self, start_ns: int) -> None:
        """Steer second 0 towards a newly measured `start_ns`."""
        self.steer = retimed(self.steer, goal_ns=start_ns, now_ns=time.monotonic_ns())


class Book:
    """Counts of one attempt. `following`: the next own index to be handed over."""

    __slots__ = (
        "_decided_up_to", "_earliest", "_marks", "_open", "_warmup_ns", "clock", "closed", "completions",
        "flying", "following", "recorder", "running", "sent", "sent_since", "start_lag_s",
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

    def writing(self, arrival: Arrival) -> None:
        """Its first byte leaves now."""
        self._marks.writing(arrival)

    def left(self, arrival: Arrival, now_ns: int) -> None:
        """Its first byte was written at monotonic `now_ns`."""
        arrival.sent_ns = now_ns
        arrival.decided = True
        self._decided_up_to = max(self._decided_up_to, arrival.index)
        self._marks.sent(arrival)
        self.sent += 1
        self.sent_since += 1
        if arrival.index < self._earliest:
            self._earliest = arrival.index
            self.start_lag_s = (now_ns - arrival.intended_ns) / NS
        second = phase_ns(self.clock.steer, now_ns) // NS
        if self.running.get(second, 0) < len(self.flying):
            self.running[second] = len(self.flying)

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
        second = phase_ns(self.clock.steer, at_ns) // NS
        self.completions[second] = self.completions.get(second, 0) + 1

    def unsent_target(self, arrival: Arrival, *, following: int) -> None:
        """It stood in line longer than the target's timeout: given up, and the target's doing."""
        self.handed(arrival, following=following)
        if self._close(arrival):
            counted = self.recorder.counted(Measured(UNSENT_TARGET, latency=0.0))
            self._marks.ended(arrival, UNSENT_TARGET, counted)
            self.recorder.given_up(arrival.second, arrival.groups, UNSENT_TARGET, counted)

    def unsent_generator(self, arrival: Arrival) -> None:
        """It was handed over and could not be sent, by this side's doing."""
        self._give_up(arrival, UNSENT_GENERATOR)

    def refused(self, arrival: Arrival) -> None:
        """The fence did not let it out: it stays undecided, for a successor to take."""
        arrival.ended = True

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
        self.closed = True

    def drain_seconds(self) -> tuple[dict[int, int], dict[int, int]]:
        """(highest in flight, answers) by second of the phase since the last call."""
        second = self.clock.now_ns() // NS
        self.running[second] = max(self.running.get(second, 0), len(self.flying))
        running, self.running = self.running, {}
        completions, self.completions = self.completions, {}
        return running, completions

    def in_flight(self) -> list[int]:
        """Own indices handed out and not yet ended."""
        return list(self.flying)

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
