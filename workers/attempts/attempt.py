"""The body of every task: believe it or not, claim the attempt, do what its spec says, say how it ended."""

import hashlib
import logging
from typing import Literal

import msgspec

from workers.attempts.chaos import run_chaos
from workers.attempts.mailbox import Worker, holding
from workers.attempts.traffic import run_engine
from workers.attempts.watch import run_watch
from workers.contract.errors import (
    AttemptError,
    ContractError,
    DrainingError,
    HostError,
    RepeatError,
    ShakeoutWorkerError,
    TargetRefusedError,
)
from workers.contract.facts import Claimed, Exited, TaskRefused
from workers.contract.signed.signing import SignatureError
from workers.contract.signed.trust import check_task
from workers.contract.spec import ActivitySpec, ChaosSpec, ShardTask, WatchSpec, decode_spec
from workers.guard import SecretUnsetError
from workers.user_code import UserCodeRefusedError

PASSED_OVER = "passed over: not to be run here, or no longer"
MOST_SHOWN = 200
"""Characters of a name that somebody unknown made up."""

log = logging.getLogger(__name__)


def run(body: object, worker: Worker, *, task_id: str) -> str:
    """Do the attempt that a task's argument asks for, and return when it is over and its facts are queued.

    What it came to, for Flower to keep. Raises RepeatError for a task that runs here already, AttemptError
    for one that went wrong: all that anybody needs to know of both stands in the journal.
    """
    if not worker.progress.begin(task_id):
        raise RepeatError(f"task {task_id} runs here already")
    try:
        exited = _attempt(body, worker, task_id=task_id)
    finally:
        words = worker.progress.end(task_id)
    if exited is None:
        return PASSED_OVER
    if exited.outcome not in ("done", "stopped"):
        raise AttemptError(f"{exited.outcome}: {exited.why}")
    return words or f"{exited.outcome} {exited.why}".strip()


def _attempt(body: object, worker: Worker, *, task_id: str) -> Exited | None:
    """Claim and do the attempt; None where it is not for us to run.

    A task that no trusted key has signed is refused, and its campaign is told. A repeat, a task for another
    life of this worker or one that came too late is passed over.
    """
    try:
        task = msgspec.convert(body, ShardTask)
    except msgspec.ValidationError as error:
        worker.leases.refusals.add(f"a task that cannot be read is passed over: {error}")
        raise AttemptError(f"refused: it cannot be read: {error}") from error
    try:
        # one for a former life has expired by rights, and is passed over below
        ours = task.incarnation == worker.link.incarnation
        check_task(task, keys=worker.settings.keys, now_s=worker.clock.now() if ours else 0.0)
    except SignatureError as error:
        _refuse(task, worker, error)
        raise AttemptError(f"refused: {error}") from error
    if not worker.link.claim(task, stop=worker.draining):
        log.info("attempt %s of %s is not for us to run", task.attempt, task.campaign)
        return None
    claimed = Claimed(
        at_s=worker.clock.now(), attempt=task.attempt, worker=task.worker, incarnation=task.incarnation
    )
    worker.link.say(task.campaign, claimed)
    exited = _guarded(task, worker, task_id=task_id)
    worker.link.say(task.campaign, exited)
    if exited.outcome != "done":
        log.warning("attempt %s of %s %s: %s", task.attempt, task.campaign, exited.outcome, exited.why)
    return exited


def _refuse(task: ShardTask, worker: Worker, error: SignatureError) -> None:
    """Count it, and say it to the campaign that it names: what else it says may be anybody's word."""
    attempt, name = task.attempt[:MOST_SHOWN], worker.settings.name
    worker.leases.refusals.add(
        f"refused a task for attempt {attempt} of {task.campaign[:MOST_SHOWN]}: {error}"
    )
    fact = TaskRefused(at_s=worker.clock.now(), attempt=attempt, worker=name, why=str(error))
    worker.link.say_refused(task.campaign, fact)


def _guarded(task: ShardTask, worker: Worker, *, task_id: str) -> Exited:
    """The boundary: whatever goes wrong becomes the fact that the attempt is over."""
    outcome: Literal["error", "refused", "died"] = "error"
    try:
        return _body(task, worker, task_id=task_id)
    except (TargetRefusedError, SecretUnsetError, UserCodeRefusedError) as error:
        outcome, why = "refused", str(error)
    except HostError as error:
        outcome, why = "died", f"worker {task.worker}: {error}"
    except DrainingError as error:
        return _unbegun(task, worker, why=str(error))
    except ShakeoutWorkerError as error:
        why = str(error)
    except Exception as error:
        log.exception("attempt %s of %s broke", task.attempt, task.campaign)
        why = f"internal error on worker {task.worker}: {type(error).__name__}: {error}"
    now_s = worker.clock.now()
    # an engine that was ended in the middle may have sent more than its last snapshot says
    return Exited(at_s=now_s, attempt=task.attempt, outcome=outcome, why=why, silent_s=now_s, known=False)


def _unbegun(task: ShardTask, worker: Worker, *, why: str) -> Exited:
    now_s = worker.clock.now()
    return Exited(at_s=now_s, attempt=task.attempt, outcome="stopped", why=why, silent_s=now_s)


def _body(task: ShardTask, worker: Worker, *, task_id: str) -> Exited:
    if worker.draining.is_set():
        raise DrainingError
    halted = worker.leases.halted()
    if halted is not None:
        return _unbegun(task, worker, why=halted.words())
    spec = _spec(task, worker)
    with holding(task, worker, fence_s=spec.fence_s) as mailbox:
        if isinstance(spec, ChaosSpec):
            return run_chaos(task, spec, worker, mailbox=mailbox, task_id=task_id)
        if isinstance(spec, WatchSpec):
            return run_watch(task, spec, worker, mailbox=mailbox, task_id=task_id)
        return run_engine(task, spec, worker, mailbox=mailbox, task_id=task_id)


def _spec(task: ShardTask, worker: Worker) -> ActivitySpec:
    """The activity's spec, proved by its hash. Raises ContractError."""
    body = worker.link.spec(task, stop=worker.draining)
    if hashlib.sha256(body).hexdigest() != task.spec_sha256:
        raise ContractError(f"the spec of {task.attempt} is not the one that its task names")
    try:
        spec: ActivitySpec = decode_spec(body)
    except msgspec.DecodeError as error:
        raise ContractError(f"the spec of {task.attempt} cannot be read: {error}") from error
    return spec
