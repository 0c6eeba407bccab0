"""One fault from order to end: planned, prepared ahead of its moment, injected at it, held, reverted, told.

The caller turns events into facts. Whatever happens in between (an exception of the caller's own functions
too), a held fault is reverted before `run_fault` returns.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workers.chaos.contract import (
    LONGEST_S,
    Aimed,
    Fault,
    FaultEvent,
    FaultOrder,
    Foreseeing,
    ProcessId,
    Scene,
    build,
    kind_of,
)
from workers.chaos.hold import PREPARES_AHEAD_S, Prepared, hold, lets_go_s, prepare
from workers.chaos.ledger import scene_of
from workers.chaos.match import find
from workers.chaos.one_at_a_time import taken
from workers.chaos.references import needed
from workers.chaos.stage import Stage
from workers.chaos.strike import strike
from workers.contract.errors import FaultError, ShakeoutWorkerError

__all__ = ["FaultEvent", "FaultOrder", "Planned", "plan", "run_fault"]

_TRIES_AHEAD_S = (PREPARES_AHEAD_S, PREPARES_AHEAD_S / 2)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a fault would touch right now: processes in the scene, and everything else in words."""

    scene: Scene
    touched: tuple[str, ...]


def plan(order: FaultOrder, *, ledger: Path) -> Planned:
    """Return what the fault would touch right now, and touch nothing.

    `ledger` as for `run_fault`. Raises FaultError where the fault could not be done: no match or too many, a
    protected process, options or times that do not fit, no permission, a host that cannot,
    another fault on the same target.
    """
    fault = _built(order)
    check = fault.foresee if isinstance(fault, Foreseeing) else fault.check
    planned = _planned(order, fault, ledger=ledger, check=check)
    if why := taken(ledger, order, scene=planned.scene, touched=planned.touched):
        raise FaultError(why)
    return planned


def run_fault(
    order: FaultOrder,
    *,
    ledger: Path,
    clock: Callable[[], float],
    emit: Callable[[FaultEvent], None],
    may_go_on: Callable[[], str | None],
    wait: Callable[[float], None],
    due: Callable[[float], bool] | None = None,
) -> None:
    """Do the fault, and return when it is over and reverted; all that happened goes to `emit`.

    `ledger` is this worker's folder of entries. `clock` tells the common time in seconds. `may_go_on` is
    asked about every 50 ms and returns why the fault has to end early, else None. `wait` sleeps for seconds;
    it may return sooner. `due` returns so many seconds before the moment of injection, or at once where that
    is past; False: it is not to be done any more, and nothing is told; it may raise FaultError. None: now.
    A fault that cannot be done is an event ("failed"), not an exception.
    """
    stage_of = partial(
        Stage, order=order, ledger=ledger, clock=clock, emit=emit, may_go_on=may_go_on, wait=wait
    )
    try:
        if kind_of(order.fault).held:
            ahead = None if due is None else _ahead(stage_of, order, ledger, due=due)
            if due is not None and not _is_due(due, ahead):
                return
            hold(_still_fits(ahead) or prepare(*_staged(stage_of, order, ledger)))
        elif due is None or due(0.0):
            strike(*_staged(stage_of, order, ledger))
    except ShakeoutWorkerError as error:
        emit(FaultEvent("failed", clock(), took_effect=False, why=str(error)))


def _staged(stage_of: Callable[..., Stage], order: FaultOrder, ledger: Path) -> tuple[Stage, Scene]:
    """Plan the fault, and see that it may be done. Raises FaultError."""
    fault = _built(order)
    planned = _planned(order, fault, ledger=ledger, check=fault.check)
    stage = stage_of(fault=fault, touched=planned.touched)
    if reason := stage.may_go_on():
        raise FaultError(f"not injected: {reason}")
    return stage, planned.scene


def _ahead(
    stage_of: Callable[..., Stage], order: FaultOrder, ledger: Path, *, due: Callable[[float], bool]
) -> Prepared | None:
    """Prepare it before its moment; None where that cannot be yet: then it is tried at the moment itself."""
    for ahead_s in _TRIES_AHEAD_S:
        with suppress(ShakeoutWorkerError):  # say another fault is on the target still
            return prepare(*_staged(stage_of, order, ledger)) if due(ahead_s) else None
    return None


def _is_due(due: Callable[[float], bool], ahead: Prepared | None) -> bool:
    """Wait for the moment; what was prepared for it is let go where it does not come."""
    comes = False
    try:
        comes = due(0.0)
    finally:
        if ahead is not None and not comes:
            ahead.drop()
    return comes


def _still_fits(ahead: Prepared | None) -> Prepared | None:
    """What was prepared, if the very processes are there for which it was; else None, and it is let go."""
    if ahead is None or not ahead.entry.scene.processes or ahead.stage.order.match is None:
        return ahead
    fits = False
    try:
        found = {who.life for who in find(ahead.stage.order.match)}
        fits = found == {who.life for who in ahead.entry.scene.processes}
    except FaultError:
        pass  # it is said when it is tried anew
    finally:
        if not fits:
            ahead.drop()
    return ahead if fits else None


def _built(order: FaultOrder) -> Fault:
    """The fault of an order, told what it is aimed at."""
    fault = build(order.fault, order.options)
    if order.aim is not None and isinstance(fault, Aimed):
        fault.aim(order.aim)
    return fault


def _planned(order: FaultOrder, fault: Fault, *, ledger: Path, check: Callable[[Scene], None]) -> Planned:
    _check_times(order)
    processes: tuple[ProcessId, ...] = ()
    if kind_of(order.fault).needs_match:
        if order.match is None:
            raise FaultError(f"fault {order.fault} needs a `match`: say which process of this host it is for")
        processes = tuple(find(order.match))
    scene = scene_of(ledger, order, processes=processes, until_s=lets_go_s(order))
    needed(order.options, order.rules.secrets)  # said before anything is begun
    # what is under a fault now need not look healthy
    if why := taken(ledger, order, scene=scene, touched=()):
        raise FaultError(why)
    check(scene)
    return Planned(scene, fault.plan(scene))


def _check_times(order: FaultOrder) -> None:
    held = kind_of(order.fault).held
    for key, value_s in (("for", order.for_s), ("limit", order.limit_s)):
        if not 0 <= value_s <= LONGEST_S:
            raise FaultError(f"fault {order.name}: {key} {value_s:g} s; no fault may last longer than 1h")
    if held and not 0 < order.for_s <= order.limit_s:
        raise FaultError(f"fault {order.name}: {order.fault} is held: give it a time, not above its limit")
    if not held and order.for_s:
        raise FaultError(
            f"fault {order.name}: {order.fault} is one-shot and cannot be held for {order.for_s:g} s"
        )
