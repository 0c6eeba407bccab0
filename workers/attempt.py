"""The body of every task: claim the attempt, do what its spec says, say how it ended."""

import hashlib
import logging
from typing import Literal

import msgspec

from workers.contract.errors import ContractError, ShakeoutWorkerError, TargetRefusedError
from workers.contract.facts import Claimed, Exited
from workers.contract.spec import ActivitySpec, ChaosSpec, ShardTask, decode_spec
from workers.engine_attempt import run_engine
from workers.fault_attempt import run_chaos
from workers.guard import SecretUnsetError
from workers.mailbox import Worker, holding

DRAINING = "the worker is draining"

log = logging.getLogger(__name__)


def run(body: object, worker: Worker, *, task_id: str) -> None:
    """Do the attempt that a task's argument asks for, and return when it is over and its facts are queued.

    A repeat, a task for another life of this worker or one that came too late is passed over.
    """
    try:
        task = msgspec.convert(body, ShardTask)
    except msgspec.ValidationError as error:
        log.warning("a task that cannot be read is passed over: %s", error)
        return
    if not worker.link.claim(task):
        log.info("attempt %s of %s is not for us to run", task.attempt, task.campaign)
        return
    claimed = Claimed(
        at_s=worker.clock.now(), attempt=task.attempt, worker=task.worker, incarnation=task.incarnation
    )
    worker.link.say(task.campaign, claimed)
    exited = _guarded(task, worker, task_id=task_id)
    worker.link.say(task.campaign, exited)


def _guarded(task: ShardTask, worker: Worker, *, task_id: str) -> Exited:
    """The boundary: whatever goes wrong becomes the fact that the attempt is over."""
    outcome: Literal["error", "refused"] = "error"
    try:
        return _body(task, worker, task_id=task_id)
    except (TargetRefusedError, SecretUnsetError) as error:
        outcome, why = "refused", str(error)
    except ShakeoutWorkerError as error:
        why = str(error)
    except Exception as error:
        log.exception("attempt %s of %s broke", task.attempt, task.campaign)
        why = f"internal error on worker {task.worker}: {type(error).__name__}: {error}"
    now_s = worker.clock.now()
    return Exited(at_s=now_s, attempt=task.attempt, outcome=outcome, why=why, silent_s=now_s)


def _body(task: ShardTask, worker: Worker, *, task_id: str) -> Exited:
    if worker.draining.is_set():
        now_s = worker.clock.now()
        return Exited(at_s=now_s, attempt=task.attempt, outcome="stopped", why=DRAINING, silent_s=now_s)
    spec = _spec(task, worker)
    with holding(task, worker, fence_s=spec.fence_s) as mailbox:
        if isinstance(spec, ChaosSpec):
            return run_chaos(task, spec, worker, mailbox)
        return run_engine(task, spec, worker, mailbox=mailbox, task_id=task_id)


def _spec(task: ShardTask, worker: Worker) -> ActivitySpec:
    """The activity's spec, proved by its hash. Raises ContractError."""
    body = worker.link.spec(task)
    if hashlib.sha256(body).hexdigest() != task.spec_sha256:
        raise ContractError(f"the spec of {task.attempt} is not the one that its task names")
    try:
        spec: ActivitySpec = decode_spec(body)
    except msgspec.DecodeError as error:
        raise ContractError(f"the spec of {task.attempt} cannot be read: {error}") from error
    return spec
