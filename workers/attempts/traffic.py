"""A load, soak or regression attempt: ready an engine, start it on the leader's word, pass on what it says.

Whoever ends it (the engine, the leader, a person, the drain, a kill -9), the attempt's last words are the
engine's counters: from its own final snapshot, or from the watermark file that it left. A load on a worker
that drains goes on until the leader has a successor ready for it.
"""

import time
from typing import Literal

import msgspec

from workers.attempts.course import Course
from workers.attempts.mailbox import Event, Mailbox, Worker
from workers.attempts.prepare import prepare
from workers.attempts.sampling import begin_sampling, end_sampling, picked_about
from workers.contract import snapshot as snapshots
from workers.contract.control import HandOver, Start, Stop
from workers.contract.errors import EngineError
from workers.contract.facts import Draining, Exited, NotReady, Ready, Yielded
from workers.contract.spec import LoadSpec, RegressionSpec, ShardTask, longest_s
from workers.engine import watermark, wire
from workers.engine_process import EXIT_WITHIN_S, EngineHandle, Gone
from workers.fleet.drain import WHY, Leaving, leave
from workers.fleet.leases import Authorised, Revoked

LOOK_EVERY_S = 0.1
"""How soon a drain or a hung engine is seen."""
WORDLESS_S = 10.0
"""A running engine says something every second; one that has not for this long hangs, and is killed."""
HUNG = f"engine said nothing for {WORDLESS_S:g} s and was ended"
STALL_S = 1.0
"""Looks of this worker further apart than this: it was stopped, or starved."""
RETIME_FROM_NS = 50_000
"""Smaller changes of the clock are the measurement's own noise."""


def run_engine(
    task: ShardTask, spec: LoadSpec | RegressionSpec, worker: Worker, *, mailbox: Mailbox, task_id: str
) -> Exited:
    """Run the shard on one engine to its end. Raises ShakeoutWorkerError where it cannot even be prepared."""
    mark = worker.register.mark()
    order = prepare(task, spec, worker, mark=mark)
    sampling = begin_sampling(spec, worker)
    if sampling.stem is not None:
        seen = msgspec.structs.replace(order.seen, spool=str(sampling.stem))
        order = msgspec.structs.replace(order, seen=seen)
    engine = worker.supervisor.acquire()
    try:
        worker.register.begin(task, pid=engine.pid, mark=mark, timeout_s=longest_s(spec))
        engine.listen(mailbox.put)
        exited = _EngineRun(task, spec, worker, engine=engine, prepare=order, task_id=task_id).run(mailbox)
    except BaseException:
        engine.kill()
        raise
    finally:
        worker.supervisor.release(engine)
    return end_sampling(sampling, exited, worker)


class _EngineRun:
    """One attempt on one engine: what was heard so far, and what follows from the next event."""

    def __init__(
        self, task: ShardTask, spec: LoadSpec | RegressionSpec, worker: Worker, *,
        engine: EngineHandle, prepare: wire.Prepare, task_id: str,
    ) -> None:  # fmt: skip
        self._task, self._spec, self._worker, self._task_id = task, spec, worker, task_id
        self._engine, self._prepare = engine, prepare
        self._tally = watermark.Tally(longest_s(spec))
        self._course = Course(spec, task)
        self._start: Start | None = None
        self._until_ns = 0
        self._prepared = self._begun = False
        self._server, self._start_ns = "", 0
        self._heard_s = time.monotonic()
        self._halt_why, self._kill_at_s = "", 0.0
        self._looked_s = self._heard_s
        self._hung = False
        self._leaving: Leaving | None = None
        self._last_seq = 0
        self._exited: Exited | None = None

    def run(self, mailbox: Mailbox) -> Exited:
        """Take events until the attempt is over."""
        self._order(self._prepare)
        while self._exited is None:
            event = mailbox.get(LOOK_EVERY_S)
            if event is not None:
                self._take(event)
            self._look()
        self._worker.progress.show(self._task_id, self._course.end(self._exited))
        return self._exited

    def _take(self, event: Event) -> None:
        match event:
            case Authorised():
                self._until_ns = event.until_ns
                if self._begun:
                    self._order(wire.Authorise(event.until_ns))
            case Start():
                self._start = self._start or event
                self._begin()
            case Stop():
                self._halt(event.why)
            case Revoked():
                self._halt("the coordinator gave this attempt up")
            case HandOver():
                self._hand_over(event)
            case Gone():
                self._exited = self._died(event)
            case _:
                self._heard_s = time.monotonic()
                self._hear(event)

    def _hear(self, word: wire.FromEngine) -> None:
        now_s = self._worker.clock.now()
        match word:
            case wire.Unready():
                self._say(NotReady(at_s=now_s, attempt=self._task.attempt, why=word.why))
                self._worker.progress.show(self._task_id, f"waiting, {word.why}")
            case wire.Prepared():
                self._prepared = True
                ready = Ready(
                    at_s=now_s, attempt=self._task.attempt, fingerprint=word.fingerprint, numpy=word.numpy
                )
                self._say(ready)
                self._worker.progress.show(self._task_id, "ready")
                self._begin()
            case wire.Taken():
                self._pass_on(word)
            case wire.Yielded():
                self._say(Yielded(at_s=now_s, attempt=self._task.attempt, until_s=word.until_s))
            case wire.Finished():
                self._exited = Exited(
                    at_s=now_s,
                    attempt=self._task.attempt,
                    outcome=word.outcome,
                    why=word.why,
                    dispatched=word.dispatched,
                    last_seq=word.last_seq,
                    silent_s=self._worker.clock.common_s(word.silent_ns),
                )
            case wire.Warm():
                pass

    def _begin(self) -> None:
        """Start the engine once it is prepared, told when, and authorised."""
        if self._begun or not self._prepared or self._start is None:
            return
        self._begun = True
        clock = self._worker.clock
        reading = clock.reading()
        self._server = reading.server
        self._start_ns = round((self._start.start_s - reading.offset_s) * 1e9)
        self._order(wire.Begin(self._start_ns, self._start.from_s, reading.offset_s))
        if self._until_ns:
            self._order(wire.Authorise(self._until_ns))
        self._heard_s = max(time.monotonic(), self._start_ns / 1e9)

    def _pass_on(self, word: wire.Taken) -> None:
        self._worker.link.snapshot(self._task, seq=word.seq, body=word.body)
        self._last_seq = max(self._last_seq, word.seq)
        snapshot = snapshots.decode(word.body)
        self._tally.add(snapshot)
        phase_s = time.monotonic() - self._start_ns / 1e9
        self._worker.progress.show(self._task_id, self._course.hear(snapshot, phase_s=phase_s))

    def _look(self) -> None:
        """What time itself brings: the drain, a measured clock, an engine that hangs or does not halt."""
        if self._exited is not None:
            return
        now_s = time.monotonic()
        if self._worker.draining.is_set():
            self._drain(now_s)
        self._listen(now_s)
        if self._hung or (self._halt_why and now_s > self._kill_at_s):
            self._engine.kill()
        elif self._begun:
            self._retime()

    def _listen(self, now_s: float) -> None:
        """Whether the engine hangs: it loads and says nothing, or gets ready and does nothing at all."""
        # what was said while this worker itself stood still is still to be read
        stood_still_s = now_s - self._looked_s - STALL_S
        self._looked_s = now_s
        self._heard_s += max(0.0, stood_still_s)
        if not self._prepared and self._engine.stirs():
            self._heard_s = now_s
        if (self._begun or not self._prepared) and now_s - self._heard_s > WORDLESS_S:
            self._hung = True

    def _retime(self) -> None:
        """Steer by the clock as last measured; another server's clock is not followed."""
        reading = self._worker.clock.reading()
        assert self._start is not None  # noqa: S101  # begun
        start_ns = round((self._start.start_s - reading.offset_s) * 1e9)
        if reading.server == self._server and abs(start_ns - self._start_ns) > RETIME_FROM_NS:
            self._start_ns = start_ns
            self._order(wire.Retime(start_ns))

    def _drain(self, now_s: float) -> None:
        """Ask for a successor and go on; stop what has not begun, has no schedule, or has had its time."""
        if self._worker.drain.hurried.is_set() or not self._is_running_load():
            self._halt(WHY)
        elif self._leaving is None:
            self._leave(now_s)
            self._say(
                Draining(
                    at_s=self._worker.clock.now(), attempt=self._task.attempt, why=self._worker.drain.why
                )
            )
        elif now_s > self._leaving.halt_at_s and not self._halt_why:
            self._halt(self._leaving.why())

    def _hand_over(self, order: HandOver) -> None:
        """Begin nothing from the moment named; the engine says when it has understood."""
        if not self._is_running_load():
            self._halt(WHY)
            return
        now_s = time.monotonic()
        leaving = self._leaving or self._leave(now_s)
        if not leaving.handed_over:
            leaving.hand_over(max(now_s, self._start_ns / 1e9 + order.until_s))
        self._order(wire.HandOver(order.until_s))
        self._worker.progress.show(self._task_id, "handing over")

    def _leave(self, now_s: float) -> Leaving:
        assert isinstance(self._spec, LoadSpec)  # noqa: S101  # asked before
        end_s = self._start_ns / 1e9 + self._spec.arrivals.duration_s
        self._leaving = leave(now_s, end_s=end_s, answers_s=longest_s(self._spec))
        return self._leaving

    def _is_running_load(self) -> bool:
        return self._begun and isinstance(self._spec, LoadSpec)

    def _halt(self, why: str) -> None:
        if self._halt_why:
            return
        self._halt_why = why
        self._kill_at_s = time.monotonic() + EXIT_WITHIN_S
        self._order(wire.Halt(why))

    def _order(self, message: wire.ToEngine) -> None:
        """Tell the engine; one that does not read is killed, and its end is the next event."""
        try:
            self._engine.order(message)
        except EngineError:
            self._engine.kill()

    def _died(self, gone: Gone) -> Exited:
        """The engine ended without its last word: say what it left."""
        outcome: Literal["stopped", "died"] = "stopped" if self._halt_why else "died"
        words = HUNG if self._hung else gone.words()
        why = f"{self._halt_why}; {words}" if self._halt_why else words
        silent_s = self._worker.clock.common_s(gone.at_ns)
        dispatched = 0
        try:
            left = watermark.read(self._prepare.watermark)
        except EngineError as error:
            if self._begun:
                why = f"{why}; {error}"
        else:
            dispatched = left.dispatched
            self._last_seq += 1
            closing = watermark.closing_snapshot(
                left, self._tally, activity=self._task.activity, shard=self._task.shard,
                attempt=self._task.attempt, at_s=silent_s, seq=self._last_seq,
            )  # fmt: skip
            closing.sampled = picked_about(self._spec, closing)
            self._worker.link.snapshot(self._task, seq=self._last_seq, body=snapshots.encode(closing))
        return Exited(
            at_s=self._worker.clock.now(), attempt=self._task.attempt, outcome=outcome, why=why,
            dispatched=dispatched, last_seq=self._last_seq, silent_s=silent_s,
        )  # fmt: skip

    def _say(self, fact: NotReady | Ready | Draining | Yielded) -> None:
        self._worker.link.say(self._task.campaign, fact)
