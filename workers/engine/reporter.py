"""Once a second: what was recorded becomes a numbered snapshot and leaves through the pipe."""

import gc
import time
from collections.abc import Callable

import gevent
from gevent.lock import RLock

from workers.contract import snapshot as contract
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Snapshot
from workers.contract.spec import ShardTask
from workers.engine import wire
from workers.engine.book import NS, Book
from workers.engine.markfile import MarkFile
from workers.engine.observers import Observers
from workers.engine.pipes import Words
from workers.engine.probe import Probe
from workers.engine.room import Room

FIRST_NS = 150_000_000
"""A snapshot is taken this long after each whole second of the phase, plus up to SPREAD_NS by shard."""
SPREAD_NS = 200_000_000
GOLDEN = 0.618034
DEEP_EVERY = 60
"""Snapshots between two looks at older garbage; the collector itself is off while load runs."""


class Reporter:
    """Takes snapshots; `cases` gives those judged since it was last asked, `warnings` are emptied."""

    __slots__ = (
        "_book", "_busy_s", "_cases", "_lock", "_marks", "_observers", "_offset_s", "_probe", "_room",
        "_started_told", "_stopped", "_task", "_wall_s", "_words", "seq", "warnings",
    )  # fmt: skip

    def __init__(
        self,
        *,
        task: ShardTask,
        book: Book,
        probe: Probe,
        marks: MarkFile,
        words: Words,
        offset_s: float,
        cases: Callable[[], list[contract.CaseResult]],
        observers: Observers,
    ) -> None:
        self._task = task
        self._book = book
        self._probe = probe
        self._observers = observers
        self._marks = marks
        self._words = words
        self._offset_s = offset_s
        self._lock = RLock()
        self._stopped = False
        self._started_told = False
        self._busy_s = time.process_time()
        self._wall_s = time.monotonic()
        self.seq = 0
        self._cases = cases
        self.warnings: list[str] = []
        self._room = Room()

    def start(self) -> gevent.Greenlet:
        """Take one a second from the phase's start on, until `finish`."""
        return gevent.spawn(self._run)

    def finish(self) -> None:
        """Take the last one, marked final."""
        self._stopped = True
        self._take(final=True)

    def _run(self) -> None:
        after_ns = FIRST_NS + int(SPREAD_NS * (self._task.shard * GOLDEN % 1.0))
        while True:
            second = max((self._book.clock.now_ns() - after_ns) // NS + 1, 1)
            due_ns = self._book.clock.monotonic_ns(second * NS + after_ns)
            gevent.sleep(max(due_ns - time.monotonic_ns(), 0) / NS)
            if self._stopped:
                return
            if self._words.has_room():
                self._take(final=False)
            elif not self.warnings:
                self.warnings.append("the worker did not read for a while: snapshots were merged")
            if second % DEEP_EVERY == 0:
                gc.collect(1)

    def _take(self, *, final: bool) -> None:
        with self._lock:
            cells = self._book.recorder.drain()
            self.seq += 1
            body = contract.encode(self._snapshot(cells, final=final))
            self._words.say(wire.Taken(self.seq, body))
            self._marks.last_seq(self.seq)

    def _snapshot(self, cells: list[contract.Cell], *, final: bool) -> Snapshot:
        book = self._book
        running, completions = book.drain_seconds()
        sent, book.sent_since = book.sent_since, 0
        retries, sessions = book.drain_behaviour(sent)
        lates = self._probe.drain()
        sampled, sample_warnings = self._observers.sampled()
        return Snapshot(
            activity=self._task.activity,
            shard=self._task.shard,
            attempt=self._task.attempt,
            seq=self.seq,
            at_s=time.monotonic() + self._offset_s,
            dispatched=book.dispatched,
            sent=sent,
            in_flight=book.in_flight(),
            cells=cells,
            running=running,
            completions=completions,
            hub_delay=to_wire(sketch_of(lates)) if lates else None,
            busy_share=self._busy_share(),
            start_lag_s=self._start_lag(),
            cases=self._cases(),
            examples=self._observers.illustrated(book.recorder.drain_examples()),
            warnings=[*self._take_warnings(), *sample_warnings],
            final=final,
            slowest=self._observers.slowest(),
            sampled=sampled,
            retries=retries,
            sessions=sessions,
        )

    def _busy_share(self) -> float:
        busy_s, wall_s = time.process_time(), time.monotonic()
        share = (busy_s - self._busy_s) / max(wall_s - self._wall_s, 1e-6)
        self._busy_s, self._wall_s = busy_s, wall_s
        return share

    def _start_lag(self) -> float | None:
        if self._started_told or self._book.start_lag_s is None:
            return None
        self._started_told = True
        return self._book.start_lag_s

    def _take_warnings(self) -> list[str]:
        warnings, self.warnings = [*self.warnings, *self._room.warnings()], []
        warnings += self._book.warnings
        self._book.warnings = []
        dropped, self._book.recorder.dropped = self._book.recorder.dropped, 0
        if dropped:
            warnings.append(f"{dropped} more failed requests had other reasons than those shown")
        return warnings
