"""One fault from order to end: check, ledger, guardian, inject, verify, hold, revert, look for residue.

The caller waits until the fault is due and turns events into facts. Whatever happens in between (an exception
of the caller's own functions too), a held fault is reverted before `run_fault` returns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from workers.chaos.arm import Armed, arm
from workers.chaos.contract import (
    LONGEST_S,
    Fault,
    FaultEvent,
    FaultOrder,
    ProcessId,
    What,
    build,
)
from workers.chaos.ledger import Entry, collect, forget, latest, open_entry, put_back, write
from workers.chaos.match import find
from workers.chaos.processes import alive, boot_s, with_children
from workers.contract.errors import FaultError, ShakeoutWorkerError

__all__ = ["FaultEvent", "FaultOrder", "plan", "run_fault"]

TAKES_EFFECT_WITHIN_S = 5.0
"""An effect not seen by then is not there: a pause takes a millisecond, a kill as long as the exit takes."""

_LOOKS_EVERY_S = 0.05
_LOOKS_FIRST_EVERY_S = 0.002  # until the effect is seen, so that its time is sharp
_STALL_S = 1.0  # a longer time without a look is said: the agent was stopped, or the host asleep
_LIMIT_SLACK_S = 0.5  # the guardian comes after the agent that reverts on time, not before
_ROUNDS = 5  # of stopping children that were born while their parents were being stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What a run needs all the way: the order, the fault, and the caller's functions."""

    order: FaultOrder
    fault: Fault
    clock: Callable[[], float]
    emit: Callable[[FaultEvent], None]
    may_go_on: Callable[[], str | None]
    wait: Callable[[float], None]

    def say(self, what: What, at_s: float, processes: tuple[ProcessId, ...]) -> None:
        self.emit(FaultEvent(what, at_s, processes))


@dataclass(frozen=True, slots=True)
class _Held:
    """How a held fault went: whether it was in effect from first sight to the end, and what happened."""

    took_effect: bool
    why: tuple[str, ...]


def plan(order: FaultOrder) -> list[ProcessId]:
    """Return the processes that the fault would touch right now, and touch none.

    Raises FaultError where the fault could not be done: no match or too many, a protected process, a reserved
    kind, options or times that do not fit, no permission.
    """
    fault = build(order.fault, order.options)
    _check_times(order, fault)
    processes: list[ProcessId] = []
    if fault.needs_match:
        if order.match is None:
            raise FaultError(f"fault {order.fault} needs a `match`: say which process of this host it is for")
        processes = find(order.match)
    fault.check(processes)
    return processes


def run_fault(
    order: FaultOrder,
    *,
    ledger: Path,
    clock: Callable[[], float],
    emit: Callable[[FaultEvent], None],
    may_go_on: Callable[[], str | None],
    wait: Callable[[float], None],
) -> None:
    """Do the fault now, and return when it is over and reverted; all that happened goes to `emit`.

    `ledger` is this worker's folder of entries. `clock` tells the common time in seconds. `may_go_on` is
    asked about every 50 ms and returns why the fault has to end early, else None. `wait` sleeps for seconds;
    it may return sooner. A fault that cannot be done is an event ("failed"), not an exception.
    """
    try:
        processes = tuple(plan(order))
        if reason := may_go_on():
            raise FaultError(f"not injected: {reason}")
        fault = build(order.fault, order.options)
        stage = _Stage(order=order, fault=fault, clock=clock, emit=emit, may_go_on=may_go_on, wait=wait)
        begin = _hold if fault.held else _strike
        begin(stage, ledger, processes)
    except ShakeoutWorkerError as error:
        emit(FaultEvent("failed", clock(), took_effect=False, why=str(error)))


def _check_times(order: FaultOrder, fault: Fault) -> None:
    for key, value_s in (("for", order.for_s), ("limit", order.limit_s)):
        if not 0 <= value_s <= LONGEST_S:
            raise FaultError(f"fault {order.name}: {key} {value_s:g} s; no fault may last longer than 1h")
    if fault.held and not 0 < order.for_s <= order.limit_s:
        raise FaultError(f"fault {order.name}: {order.fault} is held: give it a time, not above its limit")
    if not fault.held and order.for_s:
        raise FaultError(
            f"fault {order.name}: {order.fault} is one-shot and cannot be held for {order.for_s:g} s"
        )


def _strike(stage: _Stage, ledger: Path, processes: tuple[ProcessId, ...]) -> None:
    """Do a one-shot fault; nothing to revert, the entry only says that it was about to be done."""
    path, _ = open_entry(ledger, stage.order, processes=processes, deadline_s=boot_s())
    try:
        stage.fault.inject(processes)
        at_s = stage.clock()
    finally:
        forget(path)
    stage.say("injected", at_s, processes)
    until_s = boot_s() + TAKES_EFFECT_WITHIN_S
    while (trouble := stage.fault.verify(processes)) and boot_s() < until_s:
        if reason := stage.may_go_on():
            why = f"{trouble}; not waited for longer: {reason}"
            stage.emit(FaultEvent("verified", stage.clock(), processes, took_effect=None, why=why))
            return
        stage.wait(_LOOKS_EVERY_S)
    why = f"{trouble} after {TAKES_EFFECT_WITHIN_S:g} s" if trouble else ""
    stage.emit(FaultEvent("verified", stage.clock(), processes, took_effect=not trouble, why=why))


def _hold(stage: _Stage, ledger: Path, processes: tuple[ProcessId, ...]) -> None:
    """Do a held fault, from the ledger's entry to the guardian's end."""
    limit_s = max(stage.order.limit_s, stage.order.for_s + _LIMIT_SLACK_S)
    path, entry = open_entry(ledger, stage.order, processes=processes, deadline_s=boot_s() + limit_s)
    try:
        armed = arm(path)
    except BaseException:
        forget(path)
        raise
    held = _Held(took_effect=False, why=("broken off by an error",))
    try:
        entry = _inject(stage, path, msgspec.structs.replace(entry, deadline_s=boot_s() + limit_s))
        held = _watch(stage, armed, entry.processes)
    finally:
        _settle(stage, path, armed=armed, held=held, known=entry)


def _inject(stage: _Stage, path: Path, entry: Entry) -> Entry:
    """Inject, then do the same to children born meanwhile; each stands in the ledger before it is touched."""
    write(path, entry)
    stage.fault.inject(entry.processes)
    at_s = stage.clock()
    for _ in range(_ROUNDS):
        known = {(who.pid, who.create_time) for who in entry.processes}
        born = [who for who in with_children(entry.processes) if (who.pid, who.create_time) not in known]
        if not born:
            break
        entry = msgspec.structs.replace(entry, processes=(*entry.processes, *born))
        write(path, entry)
        stage.fault.inject(born)
    here = tuple(alive(entry.processes))  # short-lived children may have ended before they could be stopped
    if entry.processes and not here:
        raise FaultError("every matched process exited by itself before the fault reached it")
    stage.say("injected", at_s, here)
    return msgspec.structs.replace(entry, processes=here)


def _watch(stage: _Stage, armed: Armed, processes: tuple[ProcessId, ...]) -> _Held:
    """Look at the effect until its time is over, or something ends it early."""
    start_s = looked_s = boot_s()
    seen = False
    broken = ""
    stalls: list[str] = []
    while True:
        now_s = boot_s()
        past_s = now_s - start_s
        if now_s - looked_s > _STALL_S:
            stalls.append(f"not watched for {now_s - looked_s:.1f} s")
        looked_s = now_s
        if not armed.lives():
            end = f"the guardian ended {past_s:.2f} s after injection"
            break
        trouble = stage.fault.verify(processes)
        if not trouble and not seen:
            seen = True
            stage.emit(FaultEvent("verified", stage.clock(), processes, took_effect=True))
        if trouble and seen and not broken:
            broken = f"{trouble}, seen {past_s:.2f} s after injection"
        if end := _end(stage, processes, past_s=past_s, seen=seen):
            break
        wait_s = _LOOKS_EVERY_S if seen else _LOOKS_FIRST_EVERY_S
        stage.wait(max(0.0, min(wait_s, stage.order.for_s - past_s)))
    if not seen:
        broken = stage.fault.verify(processes) or "never seen in effect"
        stage.emit(FaultEvent("verified", stage.clock(), processes, took_effect=False, why=broken))
    return _Held(seen and not broken, tuple(filter(None, (broken, *stalls, end.strip()))))


def _end(stage: _Stage, processes: tuple[ProcessId, ...], *, past_s: float, seen: bool) -> str:
    """Say why the fault ends now; a blank where its time is over, empty where it goes on."""
    if past_s >= stage.order.for_s:
        return " "
    if processes and not alive(processes):
        return "nothing is left to hold"
    if not seen and past_s >= TAKES_EFFECT_WITHIN_S:
        return f"given up after {past_s:.1f} s"
    if reason := stage.may_go_on():
        return f"ended after {past_s:.2f} s of {stage.order.for_s:g} s: {reason}"
    return ""


def _settle(stage: _Stage, path: Path, *, armed: Armed, held: _Held, known: Entry) -> None:
    """Revert, unless the guardian has; close the ledger's entry; let the guardian go; then say so."""
    why = held.why
    entry = latest(path, known)
    left = ""
    if entry is not None:
        undone = put_back(entry)
        reverted_s, left = undone.at_s, undone.left
        if left:
            armed.hand_over()
        else:
            forget(path)
            if not armed.stand_down():
                why = (*why, "its guardian did not end")
    else:
        armed.stand_down()
        entry = collect(path)
        reverted_s = boot_s() if entry is None or entry.reverted_s is None else entry.reverted_s
        why = (*why, f"reverted by the guardian: {entry.why if entry else 'its record is gone'}")
    at_s = stage.clock() - (boot_s() - reverted_s)
    processes = entry.processes if entry else ()
    words = "; ".join(why)
    if left:
        stage.emit(
            FaultEvent("residue", at_s, processes, took_effect=held.took_effect, why=f"{left}; {words}")
        )
    else:
        stage.emit(FaultEvent("reverted", at_s, processes, took_effect=held.took_effect, why=words))
