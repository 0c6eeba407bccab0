"""The simulated world: one clock, one heap of events, one set of dice; nothing here ever sleeps for real.

Threads are greenlets, so production code that blocks runs as it stands: a wait is a switch to the heap.
"""

import heapq
import random

from greenlet import GreenletExit, getcurrent, greenlet

BEGAN_S = 1_000_000.0
"""The common clock when a simulation begins; its own time counts from 0."""
TIMED_OUT = object()
"""What a wait returns whose time is over."""
MOST_EVENTS = 3_000_000
"""Of one simulation: beyond it something goes round in circles."""


class BrokenError(AssertionError):
    """An invariant does not hold; says which and where."""


class World:
    """Time, events and chance of one simulation. `told`: what happened, as (time, who, what), if traced."""

    def __init__(self, seed, *, traces=False):
        self.seed, self.traces = seed, traces
        self.now_s = 0.0
        self.dice = random.Random(seed)
        self.told = []
        self.events = 0
        self.hub = getcurrent()
        self.broken = None
        self._heap = []
        self._serial = 0

    def at(self, when_s, do, *given):
        """Let something happen at a moment; what is due together happens in the order of asking."""
        self._serial += 1
        heapq.heappush(self._heap, (max(self.now_s, when_s), self._serial, do, given))

    def after(self, delay_s, do, *given):
        """Let something happen a while from now."""
        self._serial += 1
        heapq.heappush(self._heap, (self.now_s + delay_s, self._serial, do, given))

    def run(self, over, until_s):
        """Let things happen until `over()`; False where the time was over, or nothing was left."""
        heap = self._heap
        while heap and not over():
            when_s, _, do, given = heapq.heappop(heap)
            if when_s > until_s:
                return False
            self.now_s = when_s
            self.events += 1
            do(*given)
            if self.broken is not None:
                raise self.broken
            if self.events > MOST_EVENTS:
                raise BrokenError("the simulation never comes to rest")
        return bool(over())

    def tell(self, who, what, *words):
        """Note what happened, for people."""
        if self.traces:
            self.told.append((self.now_s, who, what.format(*words) if words else what))

    def breaks(self, why):
        """An invariant does not hold: the simulation ends at once, whoever's stack this is."""
        if self.broken is None:
            self.broken = BrokenError(f"at {self.now_s:.3f} s: {why}")

    def chance(self, share):
        """Whether something of this likelihood happens."""
        return self.dice.random() < share


class Thread(greenlet):
    """One thread of a simulated process; it waits by ticket, so a late answer wakes nobody."""

    def __init__(self, process, do):
        super().__init__(self._run, process.world.hub)
        self.process, self.do, self.ticket = process, do, 0

    def _run(self, *_):
        try:
            self.do()
        except GreenletExit:
            pass
        finally:
            self.process.threads.discard(self)

    def wait(self, timeout_s=None):
        """Wait to be woken; TIMED_OUT where nobody does in time."""
        if timeout_s is not None:
            self.process.world.after(timeout_s, self.wake, self.ticket, TIMED_OUT)
        value = self.process.world.hub.switch()
        if not self.process.alive:
            raise GreenletExit
        return value

    def wake(self, ticket, value=None):
        """Go on, unless it was woken otherwise; one of a stopped process goes on when that does."""
        if ticket != self.ticket or self.dead or not self.process.alive:
            return
        if self.process.stopped:
            self.process.backlog.append((self.wake, (ticket, value)))
            return
        self.ticket += 1
        self.switch(value)


class Bell:
    """Wakes the one thread that waits at it; one that is rung while nobody waits the next hears."""

    def __init__(self):
        self.rung, self.place = False, None

    def wait(self, timeout_s):
        """Wait until it is rung, or the time is over."""
        thread = getcurrent()
        if not self.rung:
            self.place = thread, thread.ticket
            thread.wait(timeout_s)
        self.rung, self.place = False, None

    def ring(self):
        """Wake who waits, as soon as its process runs."""
        self.rung = True
        if self.place is not None:
            thread, ticket = self.place
            self.place = None
            thread.process.world.after(0.0005, thread.wake, ticket)


class Process:
    """One operating-system process on a host: it lives or not, runs or is stopped (SIGSTOP)."""

    def __init__(self, world, name, host):
        self.world, self.name, self.host = world, name, host
        self.alive, self.stopped = True, False
        self.threads = set()
        self.backlog = []
        host.processes.add(self)

    def spawn(self, do):
        """Start a thread."""
        thread = Thread(self, do)
        self.threads.add(thread)
        self.world.at(self.world.now_s, thread.wake, 0)
        return thread

    def does(self, do, *given):
        """Let it do something as soon as it runs; a dead one does nothing any more."""
        if not self.alive:
            return
        if self.stopped:
            self.backlog.append((do, given))
        else:
            do(*given)

    def soon(self, delay_s, do, *given):
        """Let it do something a while from now."""
        self.world.after(delay_s, self.does, do, *given)

    def kill(self):
        """SIGKILL: nothing of it happens any more."""
        if not self.alive:
            return
        self.alive, self.stopped = False, False
        self.host.processes.discard(self)
        for thread in list(self.threads):
            if thread:
                thread.throw(GreenletExit)
        self.backlog.clear()

    def stop(self):
        """SIGSTOP."""
        self.stopped = True

    def cont(self):
        """SIGCONT: all that has come meanwhile is seen, in its order."""
        if not self.alive or not self.stopped:
            return
        self.stopped = False
        backlog, self.backlog = self.backlog, []
        for place, (do, given) in enumerate(backlog):
            if self.stopped or not self.alive:
                self.backlog = backlog[place:] if self.alive else []
                return
            do(*given)


class Host:
    """One machine: its clocks, and how it is reached.

    Its monotonic clock (which is its boot clock too) runs `drift` faster than true time.
    """

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.drift = world.dice.uniform(-50e-6, 50e-6)
        self.booted_s = world.dice.uniform(100.0, 90_000.0)
        self.processes = set()
        self.cut = ""
        self.slow_s = 0.0

    def mono_s(self):
        """Its monotonic clock now."""
        return self.mono_at(self.world.now_s)

    def mono_at(self, true_s):
        """Its monotonic clock at a moment of true time."""
        return self.booted_s + true_s * (1.0 + self.drift)

    def true_at(self, mono_s):
        """True time at which its monotonic clock shows this."""
        return (mono_s - self.booted_s) / (1.0 + self.drift)


def sleep(duration_s):
    """What `time.sleep` is to the threads of a simulated process."""
    getcurrent().wait(duration_s)
