"""Celery as the coordinator sees it: a signed task into one chosen worker's own queue, and nothing else."""

from collections.abc import Callable

import msgspec
from celery import Celery
from celery.utils.nodenames import worker_direct
from kombu.exceptions import OperationalError
from redis import ConnectionError as AwayError

from workers.contract import names
from workers.contract.broker import celery_settings
from workers.contract.signing import NO_KEYS, Keys
from workers.contract.spec import ShardTask
from workers.contract.trust import sign_task

Sender = Callable[[ShardTask], None]


def sender(broker: str, keys: Keys = NO_KEYS) -> Sender:
    """What signs a shard's task and puts it into its worker's queue.

    Sending twice is harmless, only one claim succeeds.

    It raises redis.ConnectionError while Redis is away.
    """
    app = Celery("shakeout", set_as_current=False)
    app.conf.update(celery_settings(broker))
    app.conf.update(task_serializer="json", accept_content=["json"], task_ignore_result=True)
    return lambda task: _send(app, sign_task(task, keys=keys))


def _send(app: Celery, task: ShardTask) -> None:
    try:
        app.send_task(
            names.TASK.format(kind=task.kind),
            args=[msgspec.to_builtins(task)],
            queue=worker_direct(task.worker),  # type: ignore[arg-type]  # a Queue is what declares it
            task_id=names.task_id(task.campaign, task.attempt),
            shadow=f"{task.campaign} / {task.activity} / shard {task.shard + 1} of {task.of}",
            retry=False,
            ignore_result=True,
        )
    except OperationalError as error:
        raise AwayError(f"task {task.attempt} could not be sent: {error}") from error
