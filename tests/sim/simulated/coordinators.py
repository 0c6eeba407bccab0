"""Coordinators: production's own loop (`orchestrator.coordinator.coordinator.serve`) in simulated processes.

Only the way to the world is put in its place: the client of Redis, clocks, threads, Celery, the runs URL; and
the judge, whose statistics have tests of their own: here a phase is accounted for, not judged.
"""

import logging
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from unittest.mock import patch

import msgspec
import redis
from greenlet import getcurrent
from simulated.campaigns import CASES, campaign_of, planned
from simulated.server import Client
from simulated.world import Process, Thread, sleep

import workers.fleet.way
from orchestrator.aggregate.accounting import account_open, with_unseen
from orchestrator.aggregate.unscheduled import CaseWork, account_cases, account_loop
from orchestrator.coordinator import campaign_run, coordinator, opening, phases
from orchestrator.coordinator.admission import EVERYBODY
from orchestrator.judging.judging import PhaseResult
from orchestrator.store import store
from orchestrator.verdict import PhaseVerdict, skipped
from workers.contract.broker import names
from workers.contract.schedule import OpenArrivals
from workers.contract.snapshot import UNSENT_GENERATOR

TICK_S = 0.5
"""Production looks ten times a second; what is said wakes it at once here too."""


@dataclass(frozen=True)
class Counted:
    """What a leader makes of one activity; `twice`: outcomes that have no place in the schedule."""

    scheduled: int
    sent: int
    unsent: int
    unknown: int
    twice: int


@dataclass
class Runs:
    """The runs URL: every coordinator can reach it. `counted`: (campaign, phase) -> activity -> numbers."""

    world: object
    parts: dict = field(default_factory=dict)
    reports: dict = field(default_factory=dict)
    runs: str = "sim"
    folder: str = "sim"
    remote: bool = False
    keys: object = None

    def samples(self, campaign):
        """URL of its samples."""
        return f"sim/{campaign}"

    def has_report(self, campaign):
        """Whether it stands already."""
        return campaign in self.reports

    def put_part(self, campaign, name, body):
        """Write a part."""
        self.parts[campaign, name] = body

    def part(self, campaign, name):
        """Read a part."""
        return self.parts[campaign, name]

    def start_write(self, outcome):
        """Write the report, a moment later."""
        done = Future()
        thread = getcurrent()

        def write():
            if thread.process.alive:
                self.reports[outcome.id] = outcome
                done.set_result({})

        self.world.after(self.world.dice.uniform(0.05, 0.5), write)
        return done

    def drop_parts(self, campaign):
        """They are in the report."""

    def __getattr__(self, name):
        raise AttributeError(f"tests/sim has no {name} of a runs URL yet")


class Stop:
    """The event by which production's loop is ended; here processes are killed."""

    def is_set(self):
        """Never."""
        return False

    def wait(self, timeout_s):
        """A pause."""
        sleep(timeout_s)
        return False


class Coordinator(Process):
    """One life of a coordinator."""

    def __init__(self, fleet, host, name):
        super().__init__(fleet.world, name, host)
        self.fleet = fleet
        self.spawn(self._serve)

    def _serve(self):
        broker = "sentinel://127.0.0.1:1/main" if self.fleet.replicated else "redis://127.0.0.1:1/0"
        coordinator.serve(broker=broker, results=self.fleet.runs, trust=EVERYBODY, stop=Stop())

    def client(self):
        """Its client of Redis, for each of its threads."""
        return Client(self.fleet.network)


class _Threads:
    """Stands for `threading` where production starts one: it belongs to who starts it."""

    Event = threading.Event
    Lock = threading.Lock

    def __init__(self, *, target, args=(), name="", daemon=True):
        self._do = lambda: target(*args)

    def start(self):
        """Start it."""
        getcurrent().process.spawn(self._do)


class _Failures(logging.Handler):
    """A step that breaks is a bug: production notes it and goes on, the simulation ends."""

    def __init__(self, world):
        super().__init__(logging.DEBUG)
        self.world = world

    def emit(self, record):
        """Take one of the log's lines."""
        if record.exc_info and record.levelno >= logging.ERROR:
            self.world.breaks(f"{record.getMessage()}: {self.format(record)}")
        elif self.world.traces and record.levelno >= logging.INFO:
            thread = getcurrent()
            who = thread.process.name if isinstance(thread, Thread) else "log"
            self.world.tell(who, record.getMessage().replace("{", "(").replace("}", ")"))


@cache
def _modules_with(name):
    """The product's modules that know something by this name."""
    ours = [one for key, one in sorted(sys.modules.items()) if key.startswith(("orchestrator", "workers."))]
    return tuple(
        one for one in ours if getattr(one, name, None) is not None and (name != "time" or one.time is time)
    )


@contextmanager
def in_place(fleet):
    """For as long as it is entered, production's coordinators live in this world."""
    world = fleet.world
    clock = SimpleNamespace(
        monotonic=_monotonic, sleep=_sleep, time=time.time, monotonic_ns=time.monotonic_ns
    )
    handler = _Failures(world)
    with ExitStack() as stack:
        put = lambda *given: stack.enter_context(patch.object(*given))  # noqa: E731
        for module in _modules_with("time"):
            put(module, "time", clock)
        for module in _modules_with("is_confirmed"):
            put(module, "is_confirmed", lambda *_, replicas: replicas > 0)  # Sentinel names nobody else
        put(store, "client", lambda _: getcurrent().process.client())
        put(
            workers.fleet.way,
            "connection",
            SimpleNamespace(client=lambda _, connecting: Client(fleet.network, connecting)),
        )
        put(
            coordinator,
            "threading",
            SimpleNamespace(Thread=_Threads, Event=threading.Event),
        )
        put(coordinator, "sender", lambda *_: fleet.send)
        put(coordinator, "await_server", lambda *_, **__: True)
        put(coordinator, "show_card", lambda *_, **__: ())
        put(coordinator, "TICK_S", TICK_S)
        put(coordinator, "SHOW_EVERY_S", float("inf"))
        put(phases, "judge_phase", fleet.judge)
        put(campaign_run, "unsteady", fleet.unsteady)
        put(opening, "load_campaign_text", _loaded)
        put(opening, "plan_of", lambda campaign, **_: fleet.plan_of(campaign))
        stack.enter_context(_heard("orchestrator", handler, logging.INFO if world.traces else logging.ERROR))
        stack.enter_context(_heard("workers", handler, logging.CRITICAL))
        yield


@contextmanager
def _heard(name, handler, level):
    """The product's log goes to this handler alone."""
    log = logging.getLogger(name)
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def _monotonic():
    """A simulated host's clock; to threads of other tests their own."""
    thread = getcurrent()
    return thread.process.host.mono_s() if isinstance(thread, Thread) else time.monotonic()


def _sleep(duration_s):
    if isinstance(getcurrent(), Thread):
        sleep(duration_s)
    else:
        time.sleep(duration_s)


def _loaded(text, **_):
    return SimpleNamespace(campaign=campaign_of(text))


def count(name, *, plan, state, aggregate):
    """What the aggregate's own rules make of a phase: activity -> numbers."""
    found = {}
    start_s = state.phases[name].start_s
    for activity in plan.phase(name).activities:
        if not activity.needs_engine or start_s is None:
            continue
        totals = aggregate.of(activity.key)
        attempts = state.attempts_of(activity.key)
        of = max([one.of for one in attempts], default=1)
        shards = [[one for one in attempts if one.shard == shard] for shard in range(of)]
        arrivals = activity.arrivals
        if isinstance(arrivals, OpenArrivals):
            account = account_open(arrivals, warmup_s=0.0, start_s=start_s, shards=shards, totals=totals)
        elif arrivals is not None:
            account = account_loop(arrivals, start_s=start_s, shards=shards, totals=totals)
        else:
            work = CaseWork(CASES)
            account = account_cases(work, start_s=start_s, attempts=attempts, totals=totals)
        if state.is_torn(name):
            account = with_unseen(account)
        outcomes = totals.outcomes()
        sent = sum(outcomes.values()) - outcomes[UNSENT_GENERATOR]
        found[activity.key] = Counted(
            account.scheduled.total(), sent, account.unsent.total(), account.unknown.total(), account.twice
        )
    return found


def phase_result(name, state, verdict):
    """A phase that ended as this simulation's dice have it."""
    so_far = state.phases[name]
    if so_far.skipped_because:
        return PhaseResult(name, skipped(name, so_far.skipped_because))
    return PhaseResult(name, PhaseVerdict(name, verdict if so_far.start_s is not None else "invalid"))


def push(fleet, task):
    """A task's message into its worker's queue."""
    body = msgspec.json.encode(task)
    client = Client(fleet.network)
    client.rpush(names.queue(task.worker), body)


__all__ = ["Coordinator", "Runs", "count", "in_place", "phase_result", "planned", "push", "redis"]
