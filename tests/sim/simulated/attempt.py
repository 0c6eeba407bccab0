"""An attempt in its worker's hands: from task to end, as workers/attempts/attempt.py does it."""

from collections import Counter, defaultdict

import redis
from simulated.engine import Engine, cells_of, encode, snapshot_of
from simulated.world import sleep

from workers.contract import control
from workers.contract import facts as f
from workers.contract.broker import names, scripts
from workers.contract.spec import is_watch
from workers.fleet.drain import DRAIN_WITHIN_S, LAST_WORDS_S

AGAIN_S = 0.2
EXIT_WITHIN_S = 5.0
"""workers.supervise: after this an engine that does not halt is killed."""
WORDLESS_S = 10.0
ANSWERS_S = 1.0
"""The longest that an answer takes here."""


class Attempt:
    """`start`, `until_mono`, `prepared`: what was heard so far. `tally`: what the engine's snapshots told."""

    def __init__(self, worker, task):
        self.worker, self.task, self.world = worker, task, worker.world
        self.key = (task.campaign, task.attempt)
        self.engine = None
        self.start = None
        self.until_mono = 0.0
        self.prepared = self.begun = False
        self.why = ""
        self.tally = defaultdict(Counter)
        self.last_seq = 0
        self.exited = None
        self.heard_s = self.world.now_s
        self.leaving, self.handed_over = 0.0, False
        self.fence_s = worker.fleet.fence_s(task.campaign)

    def run(self):
        """The body of the task's thread: claim it, make it ready; what follows are events."""
        worker, task = self.worker, self.task
        if not self._claim():
            return
        self.say(f.Claimed(at_s=worker.common_s(), attempt=task.attempt, worker=task.worker,
                           incarnation=task.incarnation))  # fmt: skip
        why = "draining" if worker.draining else "halted" if worker.halts.halted() else ""
        if why:
            self._exit("stopped", why)
            return
        worker.hold(self)
        if task.kind == "chaos":
            self._ready("")
            self._look_at_fault()
            return
        if is_watch(task.activity):
            self._ready("")
            return
        if self.exited is not None:
            return
        self.engine = Engine(self, self.world.plans.work(task))
        worker.engines_begun(self)
        if task.probe and worker.world.chance(0.05):
            self.say(f.NotReady(at_s=worker.common_s(), attempt=task.attempt, why="it does not answer"))
            sleep(self.world.dice.uniform(0.2, 2.0))
        sleep(self.world.dice.uniform(0.02, 0.4))
        if self.exited is None and self.engine.alive and not self.engine.over:
            self._ready("same")

    def _ready(self, fingerprint):
        self.prepared = True
        self.say(f.Ready(at_s=self.worker.common_s(), attempt=self.task.attempt, fingerprint=fingerprint,
                         numpy="2"))  # fmt: skip
        self.begin()

    def _claim(self):
        worker, task = self.worker, self.task
        if task.incarnation != worker.incarnation or self.key in worker.used:
            return False
        worker.used.add(self.key)
        while True:
            try:
                return worker.claim_call(worker.client, self.key, expires_s=task.expires_s)
            except redis.RedisError:
                if worker.common_s() > task.expires_s + names.FENCE_MARGIN_S:
                    return False
                sleep(AGAIN_S)

    # events

    def authorised(self, until_mono):
        """The lease was renewed."""
        self.until_mono = until_mono
        if self.task.kind == "chaos":
            self._look_at_fault()
        elif self.begun and self.engine is not None:
            self.engine.does(self.engine.authorise, until_mono)

    def ordered(self, order):
        """An order of the leader's, perhaps again."""
        match order:
            case control.Start():
                self.start = self.start or order
                self.begin()
            case control.Stop(why=why):
                self.halt(why)
            case control.HandOver(until_s=until_s):
                self.hand_over(until_s)

    def begin(self):
        """Start the engine once it is prepared and told when."""
        if self.task.kind == "chaos":
            self._look_at_fault()
            return
        if self.begun or not self.prepared or self.start is None or self.exited is not None:
            return
        self.begun = True
        if self.engine is None:  # it watches until it is stopped
            return
        self.heard_s = self.world.now_s
        start_mono = self.start.start_s - self.worker.offset_s
        self.engine.does(self.engine.begin, start_mono, self.start.from_s)
        if self.until_mono:
            self.engine.does(self.engine.authorise, self.until_mono)
        self.worker.soon(WORDLESS_S, self._look_wordless)

    def drain(self):
        """Its worker is to leave: a running load goes on until a successor is ready, within bounds."""
        if self.exited is not None or self.leaving:
            return
        if not self._is_running_load():
            self.halt("draining")
            return
        self._leave(self.worker.host.mono_s() + DRAIN_WITHIN_S)
        self.say(f.Draining(at_s=self.worker.common_s(), attempt=self.task.attempt))

    def hand_over(self, until_s):
        """Have the engine limit itself; it says what it promises."""
        if not self._is_running_load():
            self.halt("draining")
            return
        if not self.handed_over:
            self.handed_over = True
            now_mono = self.worker.host.mono_s()
            ends_mono = max(now_mono, self.start.start_s - self.worker.offset_s + until_s)
            self._leave(ends_mono + ANSWERS_S + LAST_WORDS_S)
        self.engine.does(self.engine.hand_over, until_s)

    def yielded(self, until_s):
        """The engine's promise."""
        if self.exited is None:
            self.say(f.Yielded(at_s=self.worker.common_s(), attempt=self.task.attempt, until_s=until_s))

    def _is_running_load(self):
        return self.begun and self.task.kind in ("load", "soak")

    def _leave(self, halt_mono):
        self.leaving = halt_mono
        self.worker.soon(max(0.0, halt_mono - self.worker.host.mono_s()), self._look_leaving, halt_mono)

    def _look_leaving(self, halt_mono):
        if self.leaving == halt_mono:
            self.halt("draining: its time is over")

    def halt(self, why):
        """Fall silent; an engine that does not is killed."""
        if self.why or self.exited is not None:
            return
        self.why = why
        if self.task.kind == "chaos":
            self._end_fault("stopped")
            return
        if self.engine is None:
            self._exit("stopped", why)
            return
        self.engine.does(self.engine.halt, why)
        self.worker.soon(EXIT_WITHIN_S, self._kill)

    def taken(self, seq, snapshot):
        """The engine's snapshot: pass it on."""
        if self.exited is not None:
            return
        self.heard_s = self.world.now_s
        self.last_seq = seq
        self._add(snapshot)
        self.worker.outbox_put(self.task, seq, encode(snapshot))

    def finished(self, outcome, why, dispatched, last_seq, silent_mono):
        """The engine's last word."""
        if self.exited is None:
            self.last_seq = last_seq
            self._exit(outcome, why, dispatched=dispatched, silent_s=silent_mono + self.worker.offset_s)

    def died(self):
        """The engine is gone without its last word: say what it left."""
        if self.exited is not None or self.engine is None:
            return
        engine, dispatched = self.engine, 0
        if self.begun:
            dispatched = engine.dispatched
            self.last_seq += 1
            left = engine.seqs[self.last_seq] = engine.left(self.tally)
            closing = snapshot_of(
                self.task, seq=self.last_seq, at_s=self.worker.common_s(), engine=engine, cells=cells_of(left)
            )
            closing.in_flight, closing.sent, closing.final = [], 0, True
            self.worker.outbox_put(self.task, self.last_seq, encode(closing))
        outcome = "stopped" if self.why else "died"
        self._exit(outcome, "it died", dispatched=dispatched, silent_s=self.worker.common_s())

    def say(self, fact):
        """Queue a fact for the journal."""
        self.worker.say(self.task.campaign, fact)

    def _add(self, snapshot):
        for cell in snapshot.cells:
            self.tally[cell.second].update(cell.outcomes)

    def _kill(self):
        if self.exited is None and self.engine is not None:
            self.engine.kill()

    def _look_wordless(self):
        if self.exited is not None or self.engine is None:
            return
        silent_s = self.world.now_s - self.heard_s
        if silent_s > WORDLESS_S:
            self._kill()
        else:
            self.worker.soon(WORDLESS_S - silent_s + 0.1, self._look_wordless)

    def _exit(self, outcome, why, *, dispatched=0, silent_s=0.0):
        now_s = self.worker.common_s()
        self.exited = f.Exited(
            at_s=now_s, attempt=self.task.attempt, outcome=outcome, why=why, dispatched=dispatched,
            last_seq=self.last_seq, silent_s=silent_s or now_s,
        )  # fmt: skip
        self.worker.release(self)
        self.say(self.exited)

    # a fault

    def _look_at_fault(self):
        """Do the fault when it is due, if the attempt may still act then."""
        if self.exited is not None or self.start is None or self.world.watch.is_injected(self):
            return
        worker = self.worker
        due_mono = self.start.start_s - worker.offset_s + self.world.plans.activity(self.task).at_s
        now_mono = worker.host.mono_s()
        if now_mono < due_mono:
            worker.soon(min(due_mono - now_mono, 0.5), self._look_at_fault)
            return
        if self.until_mono and now_mono <= self.until_mono:
            self._inject()

    def _inject(self):
        activity = self.world.plans.activity(self.task)
        self.world.watch.injected(self)
        self._seen("injected")
        # the guardian is a process of its own, and reverts whatever happens here
        self.world.after(activity.for_s, self.world.watch.reverted, self)
        self.worker.soon(activity.for_s, self._end_fault, "done")
        self._look_at_authority()

    def _look_at_authority(self):
        if self.exited is None:
            if self.worker.host.mono_s() > self.until_mono:
                self.halt("no coordinator was heard of for too long")
            else:
                self.worker.soon(0.5, self._look_at_authority)

    def _end_fault(self, outcome):
        if self.exited is not None:
            return
        if self.world.watch.is_injected(self):
            self.world.watch.reverted(self)
            self._seen("reverted")
        self._exit(outcome, self.why)

    def _seen(self, what):
        self.say(f.FaultSeen(at_s=self.worker.common_s(), attempt=self.task.attempt, what=what))


def claim_words(key, incarnation, expires_s):
    """Keys and arguments of a claim."""
    campaign, attempt = key
    keys = [names.claims(campaign), names.leases(campaign)]
    return scripts.CLAIM, keys, [attempt, incarnation, str(round(expires_s * 1000))]
