"""A chaos attempt: wait for the fault's time, do it, and tell each step as a fact."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from workers.chaos.contract import FaultEvent, Match
from workers.chaos.run import FaultOrder, run_fault
from workers.clock import boot_ns
from workers.contract.control import Start, Stop
from workers.contract.errors import FaultError
from workers.contract.facts import Exited, FaultSeen, Ready
from workers.contract.spec import ChaosSpec, ShardTask
from workers.course import FaultCourse
from workers.leases import Authorised, Revoked
from workers.mailbox import Mailbox, Worker

LOOK_EVERY_S = 0.05
"""How soon a stop reaches a fault that waits or is held."""
MODEL_SERVER = "model-server"
"""Label of the worker on the demo target's host."""


def ledger(worker: Worker) -> Path:
    """Where faults of this host are written before they are done."""
    return worker.settings.home / "ledger"


def run_chaos(task: ShardTask, spec: ChaosSpec, worker: Worker, *, mailbox: Mailbox, task_id: str) -> Exited:
    """Do one fault. Raises FaultError where its `match` cannot be understood."""
    course = FaultCourse(spec)

    def show() -> None:
        worker.progress.show(task_id, course.words(worker.clock.now()))

    watch = _Watch(worker, mailbox, fence_s=spec.fence_s, looked=show)
    order = FaultOrder(
        attempt=f"{task.campaign} {task.attempt}",
        name=spec.activity,
        fault=spec.fault,
        options=spec.options,
        match=_match(spec, worker),
        for_s=spec.for_s,
        limit_s=spec.for_s,
    )
    worker.link.say(task.campaign, Ready(at_s=worker.clock.now(), attempt=task.attempt))
    why = _wait(spec, worker, watch)
    if not why:

        def emit(event: FaultEvent) -> None:
            worker.link.say(task.campaign, _seen(event, task, worker))
            course.hear(event)
            show()

        run_fault(
            order,
            ledger=ledger(worker),
            clock=worker.clock.now,
            emit=emit,
            may_go_on=watch.reason,
            wait=time.sleep,
        )
        why = watch.why
    now_s = worker.clock.now()
    outcome: Literal["stopped", "done"] = "stopped" if why else "done"
    return Exited(at_s=now_s, attempt=task.attempt, outcome=outcome, why=why, silent_s=now_s)


class _Watch:
    """What was heard so far: the start, and the first reason to end."""

    def __init__(
        self, worker: Worker, mailbox: Mailbox, *, fence_s: float, looked: Callable[[], None]
    ) -> None:
        self._worker, self._mailbox, self._looked = worker, mailbox, looked
        self._until_ns = boot_ns() + round(fence_s * 1e9)
        self.authorised = False
        self.start_s: float | None = None
        self.why = ""

    def reason(self) -> str | None:
        """Hear the news; why the fault must end now, or None."""
        self._looked()
        while (event := self._mailbox.get(0)) is not None:
            if isinstance(event, Authorised):
                self._until_ns, self.authorised = event.until_ns, True
            elif isinstance(event, Start) and self.start_s is None:
                self.start_s = event.start_s
            elif isinstance(event, Stop):
                self.why = self.why or event.why
            elif isinstance(event, Revoked):
                self.why = self.why or "the coordinator gave this attempt up"
        if self._worker.draining.is_set():
            self.why = self.why or "the worker is draining"
        if boot_ns() > self._until_ns:
            self.why = self.why or "no coordinator was heard of for too long"
        return self.why or None


def _wait(spec: ChaosSpec, worker: Worker, watch: _Watch) -> str:
    """Wait for the start and then for the fault's time; why it must not be done, or empty words."""
    while not (why := watch.reason()):
        rest_s = LOOK_EVERY_S
        if watch.start_s is not None:
            rest_s = watch.start_s + spec.at_s - worker.clock.now()
            if rest_s <= 0 and watch.authorised:
                return ""
        time.sleep(min(max(rest_s, LOOK_EVERY_S / 10), LOOK_EVERY_S))
    return why


def _match(spec: ChaosSpec, worker: Worker) -> Match | None:
    """The processes meant: the campaign's `match`, else the demo target's where it runs on this host."""
    if spec.match is not None:
        try:
            return msgspec.convert(spec.match, Match)
        except msgspec.ValidationError as error:
            raise FaultError(f"match of {spec.activity}: {error}") from error
    pid = worker.settings.demo_pid
    if pid is None or MODEL_SERVER not in worker.settings.labels:
        return None
    pidfile = worker.settings.home / f"demo-{worker.settings.name}-{os.getpid()}.pid"
    pidfile.write_text(f"{pid}\n", encoding="ascii")
    return Match(pidfile=str(pidfile))


def _seen(event: FaultEvent, task: ShardTask, worker: Worker) -> FaultSeen:
    names = tuple(f"{who.pid} {who.name} {who.cmdline}".strip() for who in event.processes)
    return FaultSeen(
        at_s=event.at_s,
        attempt=task.attempt,
        what=event.what,
        processes=names,
        took_effect=event.took_effect,
        why=event.why,
        uncertainty_s=worker.clock.reading().uncertainty_s,
    )
