"""A shard of users whose code is a locustfile: seen through Locust's request event, and stopped in time.

What cannot be promised of code of one's own, and is said in the report: the fence is not asked before each
send (the users are silenced within LOOK_S of it), and a rate ceiling cannot be kept.
"""

import os
import time
from typing import Any

import gevent
import gevent.monkey
import locust
from locust.env import Environment
from locust.runners import STATE_RUNNING, LocalRunner

from workers.contract.schedule import ClosedArrivals
from workers.contract.snapshot import (
    ENDPOINT_GROUP,
    JUDGED,
    MOST_ENDPOINTS,
    TOO_MANY_ENDPOINTS,
    CaseResult,
)
from workers.contract.spec import LoadSpec
from workers.engine import wire
from workers.engine.arrival import NS, Arrival, grouping
from workers.engine.book import Book
from workers.engine.closed import begin_ns
from workers.engine.control import Control
from workers.engine.exchange import Exchange
from workers.engine.fence import Fence
from workers.engine.gear import Gear
from workers.engine.measure import OK, Measured
from workers.engine.overheard import Overheard, overheard
from workers.engine.sender import Sender
from workers.engine.sockets import Gate
from workers.engine.user_code import load_users, mixed
from workers.engine.witness import Asked, Witness
from workers.protocols.contract import NO_TIMING, Answer, Request

LOOK_S = 0.02
"""How soon the end, a halt or the fence is seen."""
MOST_TROUBLES = 5
KILL_AFTER_S = 1.0
"""From the fence: a process that is busy with the users' code cannot end itself in order, and is ended."""
UNPROMISED = (
    "users of a locustfile: the fence is not asked before each send, and no rate ceiling is kept; "
    "requests that had not ended when their user was stopped are not counted"
)

UNSEEN = Request("", "", b"", (), stream=False)
"""The request of a user's own code: nobody saw it."""


class UserCode:
    """One attempt at a shard of a locustfile's users; `run` returns when they are done."""

    def __init__(self, spec: LoadSpec, *, gear: Gear, files: dict[str, str], control: Control) -> None:
        assert spec.locustfile is not None  # noqa: S101  # who has none makes a `Load`
        assert isinstance(spec.arrivals, ClosedArrivals)  # noqa: S101  # checked when the file was read
        self._spec = spec
        self._arrivals = spec.arrivals
        self._gear = gear
        self._groups = grouping(spec.arrivals, spec.tag_groups)
        self._names: set[str] = set()
        self._troubles: set[str] = set()
        self._next = gear.task.shard
        self._until = control.until
        self._runner: LocalRunner | None = None
        self._witness: Witness | None = None
        self.fingerprint = ""
        self.stopped = False
        fence = control.fence
        # before the phase begins nothing is authorised, and a locustfile may look something up on import
        self._gate = Gate(
            gear.endpoint.allow,
            may_send=lambda: fence.allows_now() or not (fence.until_ns or fence.closed),
            tell=control.trouble,
        )
        self._gate.guard()
        self._users = load_users(files[spec.locustfile.sha256], spec.locustfile)

    def run(self, sender: Sender, begin: wire.Begin) -> None:
        """Let the users work from `begin.from_s` on until the duration is over, then stop them."""
        book = sender.book
        self._witness = sender.witness
        book.warnings.append(UNPROMISED)
        _end_with(sender.fence)
        runner = self._runner = self._made_runner(book)
        starts_ns = book.clock.monotonic_ns(max(round(begin.from_s * NS), 0))
        gevent.sleep(max(starts_ns - time.monotonic_ns(), 0) / NS)
        environment: Any = runner.environment
        environment.events.test_start.fire(environment=environment)
        runner.update_state(STATE_RUNNING)
        self._spawn(runner, book, from_ns=round(begin.from_s * NS))
        while not self._over(book) and runner.state == STATE_RUNNING:
            gevent.sleep(LOOK_S)
        if not self._over(book):
            book.warnings.append("the locustfile ended its own test before the duration was over")
        if not self.stopped:
            self._stop(runner, book)

    def drain(self) -> list[CaseResult]:
        """A load judges no cases."""
        return []

    def close(self) -> None:
        """Silence the users, whatever they do; the process ends after the last words."""
        self._gate.silence()
        if self._runner is not None:
            self._runner.user_greenlets.kill(block=False)

    def _made_runner(self, book: Book) -> LocalRunner:
        """A real Locust environment, as a file's own listeners and users expect it."""
        host = self._spec.target.url.rstrip("/")
        for one in self._users:
            one.host = host
        environment = Environment(
            user_classes=self._users,
            events=locust.events,
            host=host,
            stop_timeout=self._gear.timeout_s,
            parsed_options=_options(),
        )
        events: Any = environment.events
        of_the_file = list(events.request._handlers)  # noqa: SLF001  # locust offers no other look
        runner: LocalRunner = environment.create_local_runner()
        for handler in [one for one in events.request._handlers if one not in of_the_file]:  # noqa: SLF001
            events.request.remove_listener(handler)  # its statistics grow with every name and error text

        def on_request(**event: Any) -> None:
            self._heard(overheard(event), book)

        def on_error(user_instance: object, exception: BaseException, **_: object) -> None:
            user = getattr(user_instance, "user", user_instance)  # a task set knows its user
            self._trouble(type(user).__name__, exception, book)

        events.request.add_listener(on_request)
        events.user_error.add_listener(on_error)
        events.init.fire(environment=environment, runner=runner, web_ui=None)
        return runner

    def _spawn(self, runner: LocalRunner, book: Book, *, from_ns: int) -> None:
        """Start this shard's part of the users, over the ramp."""
        task, users = self._gear.task, self._arrivals.users
        kinds = mixed(self._users, count=users)
        for user in range(task.shard, users, task.of):
            due_ns = max(begin_ns(self._arrivals, user=user), from_ns)
            while not self._over(book) and (left_ns := due_ns - book.clock.now_ns()) > 0:
                gevent.sleep(min(left_ns / NS, LOOK_S))
            if self._over(book) or runner.state != STATE_RUNNING:
                return
            runner.spawn_users({kinds[user].__name__: 1})

    def _over(self, book: Book) -> bool:
        end_ns = min(self._arrivals.duration_s * NS, self._until.at_ns)
        return self.stopped or book.clock.now_ns() >= end_ns

    def _stop(self, runner: LocalRunner, book: Book) -> None:
        """Users end what they are at within the target's timeout; those that hang are killed."""
        stopping = gevent.spawn(runner.stop)
        until_s = time.monotonic() + self._gear.timeout_s + KILL_AFTER_S
        while not stopping.ready() and not self.stopped and time.monotonic() < until_s:
            gevent.sleep(LOOK_S)
        hung = len(runner.user_greenlets)
        if hung and not self.stopped:
            book.warnings.append(f"{hung} users of the locustfile did not stop in time and were killed")
        stopping.kill(block=False)

    def _heard(self, one: Overheard, book: Book) -> None:
        """Count a request that the users' code says is over."""
        last_ns = time.monotonic_ns()
        intended_ns = last_ns - round(one.took_s * NS)
        at_ns = max(book.clock.now_ns() - (last_ns - intended_ns), 0)
        arrival = Arrival(self._next, at_ns, intended_ns, intended_ns)
        task = self._gear.task
        arrival.request_id = f"{task.activity}/{arrival.index}/{task.number}"
        self._next += task.of
        book.handed(arrival, following=self._next)
        tags = {"name": one.name, "method": one.method}
        arrival.tags = tags
        if arrival.groups[0] == JUDGED:
            arrival.groups = (*self._groups(at_ns, tags), *self._endpoint(one, book))
        book.sent += 1  # not `left`: when it left, and how late, nobody saw
        book.sent_since += 1
        sample = Measured(outcome=one.outcome, latency=one.took_s, service_time=one.took_s)
        book.ended(arrival, sample, at_ns=last_ns)
        if one.outcome != OK:
            text = f"{one.method} {one.name}: {one.why}"
            book.recorder.example(one.outcome, text, request_id=arrival.request_id, intended_s=at_ns / NS)
        if self._witness is not None:
            self._witness.saw(arrival, UNSEEN, asked=_asked(one, last_ns), sample=sample)

    def _endpoint(self, one: Overheard, book: Book) -> tuple[str, ...]:
        """The group of requests of one method and name, for the first MOST_ENDPOINTS of them."""
        name = f"{one.method} {one.name}".strip()
        if name not in self._names:
            if len(self._names) == MOST_ENDPOINTS:
                if TOO_MANY_ENDPOINTS not in self._troubles:
                    self._troubles.add(TOO_MANY_ENDPOINTS)
                    book.warnings.append(TOO_MANY_ENDPOINTS)
                return ()
            self._names.add(name)
        return (ENDPOINT_GROUP + name,)

    def _trouble(self, user: str, error: BaseException, book: Book) -> None:
        """An error that the users' code raised outside a request; Locust lets the user go on."""
        told = f"a task of {user} raised {type(error).__name__}: {error}"[:300]
        if told not in self._troubles and len(self._troubles) < MOST_TROUBLES:
            self._troubles.add(told)
            book.warnings.append(told)


def _asked(one: Overheard, last_ns: int) -> Asked:
    """What is known of a request that was only heard of: nothing of what went over the wire."""
    exchange = Exchange()
    exchange.last_ns = last_ns
    answer = Answer({}, None, None, one.outcome == OK, one.outcome, one.why)
    return Asked(exchange, answer, NO_TIMING)


def _options() -> object:
    """What `environment.parsed_options` holds without any: defaults, those of the file's own options too."""
    from locust.argument_parser import get_parser  # noqa: PLC0415  # 50 ms that only locustfiles need

    return get_parser(default_config_files=[]).parse_known_args([])[0]


def _end_with(fence: Fence) -> None:
    """End this process some time after the fence, from a thread that no user's code can hold up."""
    sleep = gevent.monkey.get_original("time", "sleep")

    def watch() -> None:
        while True:
            sleep(KILL_AFTER_S / 5)
            past_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - fence.until_ns
            if fence.until_ns and past_ns > KILL_AFTER_S * NS * 2:
                os._exit(1)

    gevent.monkey.get_original("_thread", "start_new_thread")(watch, ())
