"""The engine's life: warm, prepare, wait for the start, run, report, exit. Serves one attempt."""

import gc

import gevent
import numpy as np

from workers.contract.errors import ContractError, ShakeoutWorkerError
from workers.contract.spec import LoadSpec, RegressionSpec, decode_spec
from workers.engine import wire
from workers.engine.attempt import Job, run_attempt
from workers.engine.cases import Cases
from workers.engine.control import Control
from workers.engine.gear import Gear, build
from workers.engine.load import Load
from workers.engine.pipes import Words, read_orders
from workers.engine.transport import ask_ready
from workers.engine.warm import warm_up

ASK_EVERY_S = 0.5
"""Between two questions whether the target is ready."""
FLUSH_S = 120.0
"""For the last words: of a worker that stood still until its engine was silent, and for a while longer.

One that reads them later still finds the counts in the mark file, without times or tags."""


def serve(*, orders_fd: int, words_fd: int, pid: int) -> None:
    """Serve one attempt and return; the caller leaves the process."""
    words = Words(words_fd)
    control = Control(words.say)
    gevent.spawn(read_orders, orders_fd, control.take)
    warm_up()
    words.say(wire.Warm(pid))
    words.say(_attempt(control, words))
    words.flush(FLUSH_S)


def _attempt(control: Control, words: Words) -> wire.Finished:
    if control.ends_before(control.prepare):
        return _unstarted(control)
    try:
        spec, job, gear = _prepare(control.prepare.get(), control)
        if gear.task.probe:
            _ask_until_ready(control, words, gear)
    except ShakeoutWorkerError as error:
        control.trouble(error)
    if control.ending.ready():
        return _unstarted(control)
    gc.collect()
    gc.freeze()
    gc.disable()
    words.say(wire.Prepared(job.fingerprint, np.__version__))
    if control.ends_before(control.begin):
        return _unstarted(control)
    return run_attempt(control, words=words, spec=spec, job=job, gear=gear)


def _prepare(order: wire.Prepare, control: Control) -> tuple[LoadSpec | RegressionSpec, Job, Gear]:
    """Read the spec, open the data, check the target. Raises ShakeoutWorkerError with the reason."""
    try:
        spec = decode_spec(order.spec)
    except ValueError as error:
        raise ContractError(f"the spec of {order.task.attempt} cannot be read: {error}") from error
    match spec:
        case LoadSpec() if spec.locustfile is not None:
            from workers.engine.locust_file import UserCode  # noqa: PLC0415  # what its users may need is much

            gear = build(order, spec)
            return spec, UserCode(spec, gear=gear, files=order.files, control=control), gear
        case LoadSpec():
            gear = build(order, spec)
            return spec, Load(spec, gear=gear, files=order.files, until=control.until), gear
        case RegressionSpec():
            gear = build(order, spec)
            return spec, Cases(spec, gear=gear, files=order.files), gear
        case _:
            raise ContractError(f"an engine runs no {order.task.kind}; it was sent {order.task.attempt}")


def _ask_until_ready(control: Control, words: Words, gear: Gear) -> None:
    """Return once the target is ready, or the attempt is to end. Raises TargetRefusedError."""
    said = None
    while True:
        asking = gevent.spawn(
            ask_ready, gear.protocol, gear.endpoint, headers_block=gear.block, paths=gear.ready_paths
        )
        if control.ends_before(asking):
            return
        why = asking.get()
        if why is None:
            return
        if why != said:
            words.say(wire.Unready(why))
            said = why
        if control.ending.wait(ASK_EVERY_S):
            return


def _unstarted(control: Control) -> wire.Finished:
    outcome, why = control.ending.get()
    return wire.Finished(outcome, why, dispatched=0, last_seq=0, silent_ns=control.silent_ns)
