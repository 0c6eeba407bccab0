"""A step of a chaos activity -> the order for its fault on this host."""

import os
from pathlib import Path

import msgspec

from workers.chaos.aim import Aim
from workers.chaos.contract import FaultOrder, Match
from workers.contract.errors import FaultError
from workers.contract.fault_steps import FaultStep
from workers.faults.host_rules import host_rules
from workers.settings import Settings

MODEL_SERVER = "model-server"
"""Label of the worker on the demo target's host."""


def ledger(settings: Settings) -> Path:
    """Where faults of this host are written before they are done."""
    return settings.home / "ledger"


def order_name(activity: str, step: int) -> str:
    """What a step's fault is called in the ledger: no activity's own name has a blank."""
    return activity if step == 0 else f"{activity} {step}"


def step_of(name: str) -> int:
    """Which of its activity's steps a fault of the ledger was."""
    _, _, number = name.partition(" ")
    return int(number) if number.isdigit() else 0


def order_of(
    step: FaultStep,
    number: int,
    *,
    activity: str,
    attempt: str,
    settings: Settings,
    aim: Aim | None = None,
) -> FaultOrder:
    """The order for an activity's step; `aim`: of its clients, if clients do it.

    Raises FaultError where its `match` cannot be understood.
    """
    return FaultOrder(
        attempt=attempt,
        name=order_name(activity, number),
        fault=step.fault,
        options=step.options,
        match=_match(step, activity, settings),
        for_s=step.for_s,
        limit_s=step.for_s,
        seed=step.seed,
        rules=host_rules(settings),
        aim=aim,
    )


def _match(step: FaultStep, activity: str, settings: Settings) -> Match | None:
    """The processes meant: the campaign's `match`, else the demo target's where it runs on this host."""
    if step.match is not None:
        try:
            return msgspec.convert(step.match, Match)
        except msgspec.ValidationError as error:
            raise FaultError(f"match of {activity}: {error}") from error
    pid = settings.demo_pid
    if pid is None or MODEL_SERVER not in settings.labels:
        return None
    pidfile = settings.home / f"demo-{settings.name}-{os.getpid()}.pid"
    pidfile.write_text(f"{pid}\n", encoding="ascii")
    return Match(pidfile=str(pidfile))
