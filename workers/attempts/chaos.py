"""A chaos attempt: each of its steps waits for its time, is done, and is told as facts."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Literal

from workers.attempts.course import FaultCourse
from workers.attempts.mailbox import Mailbox, Worker
from workers.chaos.contract import FaultEvent
from workers.chaos.run import FaultOrder, run_fault
from workers.clock import boot_ns
from workers.contract.control import Start, Stop
from workers.contract.errors import FaultError
from workers.contract.facts import Exited, FaultSeen, Ready
from workers.contract.fault_steps import FaultStep
from workers.contract.spec import ChaosSpec, ShardTask
from workers.faults.aiming import aims_of, files_here
from workers.faults.blast_radius import refusal
from workers.faults.steps import ledger, order_of
from workers.fleet.leases import Authorised, Revoked

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.05
"""How soon a stop reaches a fault that waits or is held."""


def run_chaos(task: ShardTask, spec: ChaosSpec, worker: Worker, *, mailbox: Mailbox, task_id: str) -> Exited:
    """Do the faults of one activity on this host.

    Raises FaultError where a `match` cannot be understood; SecretUnsetError, DataError, HostError where what
    clients need is not to be had.
    """
    files = files_here(spec, worker)
    aims = aims_of(spec.steps, spec.target, settings=worker.settings, task=task, files=files)
    orders = [
        order_of(
            step,
            number,
            activity=spec.activity,
            attempt=f"{task.campaign} {task.attempt}",
            settings=worker.settings,
            aim=aims[number],
        )
        for number, step in enumerate(spec.steps)
    ]
    course = FaultCourse(spec)
    watch = _Watch(mailbox, worker, fence_s=spec.fence_s)
    ends = [_End() for _ in spec.steps]

    def emit(event: FaultEvent, *, number: int) -> None:
        worker.link.say(task.campaign, _seen(event, number, spec=spec, task=task, worker=worker))
        if event.what == "residue":
            log.error("fault %s of %s is NOT undone: %s", spec.activity, task.attempt, event.why)
        course.hear(event, number)
        ends[number].hear(event)

    turns = [
        _Turn(step, spec, order, partial(emit, number=number))
        for number, (step, order) in enumerate(zip(spec.steps, orders, strict=True))
    ]
    worker.link.say(task.campaign, Ready(at_s=worker.clock.now(), attempt=task.attempt))
    with ThreadPoolExecutor(max_workers=len(orders), thread_name_prefix="fault") as threads:
        going = [
            threads.submit(_in_turn, turn, watch, worker, ends=ends, number=number)
            for number, turn in enumerate(turns)
        ]
        while wait(going, timeout=LOOK_EVERY_S).not_done:
            watch.look()
            worker.progress.show(task_id, course.words(worker.clock.now()))
    for step in going:
        step.result()
    worker.progress.show(task_id, course.words(worker.clock.now()))
    now_s = worker.clock.now()
    outcome: Literal["stopped", "done"] = "stopped" if watch.why else "done"
    return Exited(at_s=now_s, attempt=task.attempt, outcome=outcome, why=watch.why, silent_s=now_s)


class _Watch:
    """What was heard so far: the start, and the first reason to end. One thread looks, the others read."""

    def __init__(self, mailbox: Mailbox, worker: Worker, *, fence_s: float) -> None:
        self._worker, self._mailbox = worker, mailbox
        self._until_ns = boot_ns() + round(fence_s * 1e9)
        self.authorised = False
        self.start_s: float | None = None
        self.why = ""

    def look(self) -> None:
        """Hear the news."""
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

    def reason(self) -> str | None:
        """Why a fault must end now, or None; a fault asks whether or not anybody looks any more."""
        if boot_ns() > self._until_ns:
            self.why = self.why or "no coordinator was heard of for too long"
        return self.why or None


class _End:
    """How a step ended, for the one that comes after it; `left`: what it could not undo."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.left = ""

    def hear(self, event: FaultEvent) -> None:
        """Take in what became of the step."""
        if event.what in ("residue", "reverted"):
            self.left = event.why if event.what == "residue" else ""


@dataclass(frozen=True, slots=True)
class _Turn:
    """One step of an activity, its order, and where its events go."""

    step: FaultStep
    spec: ChaosSpec
    order: FaultOrder
    emit: Callable[[FaultEvent], None]


def _in_turn(turn: _Turn, watch: _Watch, worker: Worker, *, ends: Sequence[_End], number: int) -> None:
    """Do a step in its turn; however it ends, the one after it may begin."""
    before = None if turn.step.after is None else ends[turn.step.after]
    try:
        _do(turn, watch, worker, before)
    finally:
        ends[number].over.set()


def _do(turn: _Turn, watch: _Watch, worker: Worker, before: _End | None) -> None:
    """Have one step done at its time, if nothing has happened meanwhile; what it takes is begun before."""

    def due(ahead_s: float) -> bool:
        if not _wait(turn.step, worker, watch, before, ahead_s=ahead_s):
            return False
        why = f"the fault before it left something behind: {before.left}" if before and before.left else ""
        if why := why or _refused(turn, worker):
            raise FaultError(f"not injected: {why}")
        return True

    run_fault(
        turn.order,
        ledger=ledger(worker.settings),
        clock=worker.clock.now,
        emit=turn.emit,
        may_go_on=watch.reason,
        wait=time.sleep,
        due=due,
    )


def _refused(turn: _Turn, worker: Worker) -> str:
    return refusal(
        turn.step,
        protect=turn.spec.protect,
        on_generators=turn.spec.on_generators,
        settings=worker.settings,
        engines=worker.supervisor.at_work(),
    )


def _wait(step: FaultStep, worker: Worker, watch: _Watch, before: _End | None, *, ahead_s: float) -> bool:
    """Wait for the start, the step's time, and the end of the step before it; whether it may be done.

    `ahead_s`: so long before the step's time.
    """
    while not watch.reason():
        rest_s = LOOK_EVERY_S
        if watch.start_s is not None:
            rest_s = watch.start_s + step.at_s - ahead_s - worker.clock.now()
            if rest_s <= 0 and watch.authorised and (before is None or before.over.is_set()):
                return True
        time.sleep(min(max(rest_s, LOOK_EVERY_S / 10), LOOK_EVERY_S))
    return False


def _seen(event: FaultEvent, number: int, *, spec: ChaosSpec, task: ShardTask, worker: Worker) -> FaultSeen:
    names = tuple(f"{who.pid} {who.name} {who.cmdline}".strip() for who in event.processes)
    return FaultSeen(
        at_s=event.at_s,
        attempt=task.attempt,
        what=event.what,
        step=number,
        fault=spec.steps[number].fault,
        processes=names,
        touched=event.touched,
        did=event.did,
        took_effect=event.took_effect,
        why=event.why,
        uncertainty_s=worker.clock.reading().uncertainty_s,
    )
