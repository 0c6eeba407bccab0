"""An engine: its own process and its own fence, whatever its worker does.

It keeps to workers/engine: silent past its authorisation, nothing intended before `from_s` or at `until_s` or
later, numbered snapshots of deltas, counters that a witness can read after its death.
"""

from collections import Counter, defaultdict

from simulated.world import Process

from workers.contract import snapshot as snapshots
from workers.contract.snapshot import ABANDONED, CaseResult, Cell, Snapshot

PIPE_S = 0.001
LOOK_S = 0.05
"""How late an engine sees that its authorisation is over: workers/engine/attempt.py, FENCE_LOOK_S."""
NEVER_S = float("inf")


class Engine(Process):
    """`work`: own (index, intended second) in order. `made`: outcomes by second; `told`: those reported.

    `seqs`: what each snapshot said, by its number, as its receivers have added it up.
    """

    def __init__(self, attempt, work):
        task, host = attempt.task, attempt.worker.host
        super().__init__(host.world, f"engine of {task.attempt}", host)
        self.attempt, self.task, self.work = attempt, task, work
        self.start_mono = None
        self.from_s, self.until_s, self.authorised_mono = 0.0, NEVER_S, 0.0
        self.next, self.following = 0, task.shard
        self.held_s = 0.0
        self.over = False
        self.silent_mono = None
        self.flying = []
        self.made, self.told = defaultdict(Counter), defaultdict(Counter)
        self.seqs = {}
        self.sent = 0
        self.cases = []
        self.lag_s = self.world.dice.uniform(0.0, 0.02)
        self.service_s = self.world.dice.choice((0.01, 0.05, 0.2, 0.9))

    # what its worker orders

    def begin(self, start_mono, from_s):
        """Second 0 of the phase is at `start_mono` of the host's clock; take what is due from `from_s` on."""
        if self.over or self.start_mono is not None:
            return
        self.start_mono, self.from_s = start_mono, from_s
        self.work = self.work(from_s)
        self.world.watch.began(self)
        first_s = self.host.true_at(start_mono + from_s)
        self.soon(max(0.0, first_s - self.world.now_s) + 1.0 + self.lag_s, self.tick)
        self._look_at_end()

    def authorise(self, until_mono):
        """Sending is allowed until then; an old message has no effect."""
        if self.over:
            return
        now_s = self.world.now_s
        self.advance()
        if self.host.mono_at(now_s) >= self.authorised_mono:
            self.held_s = now_s
        if until_mono > self.authorised_mono:
            self.authorised_mono = until_mono
            self.world.watch.changed(self)
            ends_s = self.host.true_at(until_mono)
            self.soon(max(0.0, ends_s - now_s) + LOOK_S, self._look_at_fence)

    def hand_over(self, until_s):
        """Promise to take nothing intended at `until_s` or later (or after now), and say so; once for all."""
        if self.over:
            return
        if self.start_mono is None:
            self._finish("stopped", "handed over")
            return
        self.advance()
        if self.until_s == NEVER_S:
            self.until_s = max(until_s, self.phase_s(self.world.now_s) + 1e-6)
            self.world.watch.changed(self)
        self.attempt.worker.soon(PIPE_S, self.attempt.yielded, self.until_s)
        self._look_at_end()

    def halt(self, why):
        """Fall silent now."""
        if not self.over:
            self.advance()
            self._finish("stopped", why)

    # what it does by itself

    def advance(self):
        """Everything that it has sent by now, with the authorisation that it had meanwhile."""
        if self.over or self.stopped or self.start_mono is None:
            return
        now_s, host, work = self.world.now_s, self.host, self.work
        while self.next < len(work):
            index, at_s = work[self.next]
            if at_s >= self.until_s:
                return
            sent_s = max(host.true_at(self.start_mono + at_s) + self.lag_s, self.held_s)
            if sent_s > now_s or host.mono_at(sent_s) >= self.authorised_mono:
                return
            self.next += 1
            self.following = index + self.task.of
            self.sent += 1
            self.flying.append((sent_s + self.service_s, index, int(at_s)))
            self.world.watch.offered(self, index, at_s, sent_s)

    def tick(self):
        """Once a second: a snapshot, and whether all is done."""
        if self.over:
            return
        self.advance()
        self._settle()
        self._say_snapshot(final=False)
        self._look_at_end()
        if not self.over:
            self.soon(1.0, self.tick)

    def phase_s(self, true_s):
        """The second of the phase, as it believes, at a moment of true time."""
        return self.host.mono_at(true_s) - self.start_mono

    def ends_s(self):
        """Second of the phase from which on it may send nothing, as things stand."""
        return min(self.until_s, self.authorised_mono - self.start_mono)

    def stop(self):
        """SIGSTOP."""
        self.advance()
        super().stop()

    def cont(self):
        """SIGCONT: what was due meanwhile goes out at once, if it still may."""
        if self.alive and self.stopped:
            self.held_s = self.world.now_s
        super().cont()

    def kill(self):
        """It is gone at once; a living worker sees it."""
        if not self.alive:
            return
        self.advance()
        self._settle()
        ended = self.over
        self.over = True
        self.silent_mono = self.silent_mono or self.host.mono_s()
        super().kill()
        self.world.watch.changed(self)
        if not ended:
            self.attempt.worker.soon(5 * PIPE_S, self.attempt.died)

    # its account

    @property
    def dispatched(self):
        """All own indices below it are decided."""
        return self.following

    def left(self, told):
        """Outcomes that whoever has added up `told` does not know of; requests under way are abandoned."""
        rest = {}
        for second in sorted(self.made.keys() | {one[2] for one in self.flying}):
            count = Counter(self.made.get(second, Counter()))
            count.subtract(told.get(second, Counter()))
            count[ABANDONED] += sum(1 for one in self.flying if one[2] == second)
            rest[second] = +count
        return {second: count for second, count in rest.items() if count}

    def _settle(self):
        now_s = self.world.now_s
        open_ = []
        for one in self.flying:
            if one[0] <= now_s:
                self.made[one[2]]["ok"] += 1
                if self.task.kind == "regression":
                    self.cases.append(one[1])
            else:
                open_.append(one)
        self.flying = open_

    def _look_at_fence(self):
        if self.over:
            return
        self.advance()
        if self.host.mono_s() >= self.authorised_mono:
            self._finish("stopped", "the authorisation to send ran out")

    def _look_at_end(self):
        """End once everything that is its own to do is sent and answered."""
        if self.over or self.start_mono is None:
            return
        self.advance()
        self._settle()
        mine = (
            len(self.work)
            if self.until_s == NEVER_S
            else sum(1 for _, at_s in self.work if at_s < self.until_s)
        )
        if self.next >= mine:
            if not self.flying and (
                self.until_s == NEVER_S or self.phase_s(self.world.now_s) >= self.until_s
            ):
                if self.until_s == NEVER_S:
                    self._finish("done", "")
                else:
                    self._finish("stopped", "handed over")
                return
            ready_s = max([one[0] for one in self.flying], default=self.world.now_s)
            if self.until_s != NEVER_S:
                ready_s = max(ready_s, self.host.true_at(self.start_mono + self.until_s))
        else:
            ready_s = (
                self.host.true_at(self.start_mono + self.work[mine - 1][1]) + self.lag_s + self.service_s
            )
        if ready_s > self.world.now_s:
            self.soon(ready_s - self.world.now_s + 0.001, self._look_at_end)

    def _finish(self, outcome, why):
        self._settle()
        self.over = True
        self.silent_mono = self.host.mono_s()
        self.world.watch.changed(self)
        for _, _, second in self.flying:
            self.made[second][ABANDONED] += 1
        self.flying = []
        if self.start_mono is not None:
            self._say_snapshot(final=True)
        self.attempt.worker.soon(
            PIPE_S, self.attempt.finished, outcome, why, self.dispatched, len(self.seqs), self.silent_mono
        )
        self.host.processes.discard(self)

    def _say_snapshot(self, *, final):
        cells, delta = [], {}
        for second, count in self.made.items():
            new = Counter(count)
            new.subtract(self.told[second])
            new = +new
            if new:
                cells.append(Cell(second, "", dict(new), {}, {}))
                delta[second] = new
                self.told[second] += new
        seq = len(self.seqs) + 1
        self.seqs[seq] = delta
        said = snapshot_of(self.task, seq=seq, at_s=self.attempt.worker.common_s(), engine=self, cells=cells)
        said.final = final
        self.cases = []
        self.attempt.worker.soon(PIPE_S, self.attempt.taken, seq, said)


def snapshot_of(task, *, seq, at_s, engine, cells):
    """A snapshot with these deltas, as production's engine makes it."""
    return Snapshot(
        task.activity,
        task.shard,
        task.attempt,
        seq,
        at_s,
        engine.dispatched,
        sum(sum(cell.outcomes.values()) for cell in cells),
        [index for _, index, _ in engine.flying],
        cells,
        cases=[CaseResult(row, str(row), "ok", True, "", 0.1) for row in engine.cases],
    )


def encode(snapshot):
    """A snapshot on the wire."""
    return snapshots.encode(snapshot)


def cells_of(counts):
    """Outcomes by second as cells."""
    return [Cell(second, "", dict(count), {}, {}) for second, count in counts.items()]
