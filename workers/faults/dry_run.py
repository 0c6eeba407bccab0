"""A dry run of faults on this host: what each would touch now, or why it cannot be done; nothing is touched.

`python -m workers.faults.dry_run` answers for this host alone, without a fleet: a question on stdin,
answers on stdout, both as workers.contract.signed.looks has them.
"""

import socket
import sys
from dataclasses import replace

from workers.chaos.contract import ProcessId
from workers.chaos.run import plan
from workers.contract.errors import ShakeoutWorkerError
from workers.contract.fault_steps import FaultStep
from workers.contract.signed.looks import Look, LookAt, Touch, decode_look, encode_touches
from workers.faults.aiming import aims_of
from workers.faults.blast_radius import refusal
from workers.faults.steps import ledger, order_of
from workers.settings import Settings, lone


def touches_of(look: Look, settings: Settings, *, engines: int) -> tuple[Touch, ...]:
    """What the steps that are asked of this worker would touch. `engines`: of it, that have work to do."""
    return tuple(
        _touch(step, number, asked, settings=settings, engines=engines)
        for asked in look.activities
        if settings.name in asked.workers
        for number, step in enumerate(asked.steps)
    )


def main() -> int:
    """Answer for this host, whatever the workers are called."""
    look = decode_look(sys.stdin.buffer.read())
    settings = lone(())
    found: list[Touch] = []
    for asked in look.activities:
        called = replace(settings, name=next(iter(asked.workers), settings.name))
        for number, step in enumerate(asked.steps):
            found.append(_touch(step, number, asked, settings=called, engines=0))
    sys.stdout.buffer.write(encode_touches(tuple(found)))
    return 0


def _touch(step: FaultStep, number: int, asked: LookAt, *, settings: Settings, engines: int) -> Touch:
    processes: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    refused = refusal(
        step,
        protect=asked.protect,
        on_generators=asked.on_generators,
        settings=settings,
        engines=engines,
    )
    if not refused:
        try:
            aims = aims_of(asked.steps, asked.target, settings=settings)
            order = order_of(
                step,
                number,
                activity=asked.activity,
                attempt=f"dry-run {asked.activity}",
                settings=settings,
                aim=aims[number],
            )
            planned = plan(order, ledger=ledger(settings))
            processes = tuple(words(who) for who in planned.scene.processes)
            touched = planned.touched
        except ShakeoutWorkerError as error:
            refused = str(error)
    return Touch(
        activity=asked.activity,
        step=number,
        worker=settings.name,
        host=socket.gethostname(),
        processes=processes,
        touched=touched,
        refused=refused,
    )


def words(who: ProcessId) -> str:
    """A process as reports name it: its pid, its name, its command line."""
    return f"{who.pid} {who.name} {who.cmdline}".strip()


if __name__ == "__main__":
    sys.exit(main())
