"""Celery as the coordinator sees it: signed tasks into chosen workers' own queues, and nothing else."""

from typing import Any, Protocol

import msgspec
from celery import Celery
from kombu.exceptions import KombuError
from redis import ConnectionError as AwayError

from workers.contract.broker import names
from workers.contract.broker.connection import celery_settings
from workers.contract.signed.signing import NO_KEYS, Keys
from workers.contract.signed.trust import sign_task
from workers.contract.spec import ShardTask

TOGETHER = 200
"""Messages in one round trip."""


class Sender(Protocol):
    """Puts shards' tasks into their workers' queues."""

    def __call__(self, *tasks: ShardTask) -> None:
        """Send these, in this order."""


def sender(broker: str, keys: Keys = NO_KEYS) -> Sender:
    """What signs shards' tasks and puts each into its worker's queue.

    Sending twice is harmless, only one claim succeeds.

    It raises redis.ConnectionError while Redis is away: some may have been sent then.
    """
    app = Celery("shakeout", set_as_current=False)
    app.conf.update(celery_settings(broker))

    def send(*tasks: ShardTask) -> None:
        try:
            with app.producer_or_acquire() as producer, producer.batch(TOGETHER):
                for task in tasks:
                    _send(app, sign_task(task, keys=keys), producer)
        except KombuError as error:
            raise AwayError(f"{len(tasks)} tasks could not be sent: {error.__cause__ or error}") from error

    return send


def _send(app: Celery, task: ShardTask, producer: Any) -> None:
    """As `send_task` would, but for what it looks up each time: routes, settings, and all arguments in words.

    The message goes by its queue's name, which the worker declares.
    """
    message = app.amqp.as_task_v2(
        names.task_id(task.campaign, task.attempt),
        names.TASK.format(kind=task.kind),
        args=(msgspec.to_builtins(task),),
        argsrepr=task.attempt,  # for Flower
        kwargsrepr="",
        shadow=f"{task.campaign} / {task.activity} / shard {task.shard + 1} of {task.of}",
        ignore_result=True,
    )
    producer.publish(
        message.body,
        exchange="",
        routing_key=names.queue(task.worker),
        serializer="json",
        headers=message.headers,
        **message.properties,
    )
