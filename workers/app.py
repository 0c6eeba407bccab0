"""Celery as a worker uses it: a thread pool on this worker's own queue, which carries tasks only."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery, signals
from kombu.transport import redis as transport

from workers.contract.broker import connection, names
from workers.fleet.drain import Drain
from workers.fleet.messages import MessageError, parsed, task_message

BESIDE_ENGINES = 8
"""Threads beside those of the slots, for attempts that need no engine: faults, telemetry."""
RETRY_EVERY_S = 1.0
"""Between Celery's tries to connect: its own pauses grow to 30 s, and a task has 10 s to be claimed."""
SAY_AGAIN_AFTER_S = 10.0
_NODE = "shakeout@{name}"

log = logging.getLogger(__name__)


def build(url: str) -> Celery:
    """The Celery app: JSON only, no results, no remote control, nothing reserved beyond what runs."""
    app = Celery("shakeout", set_as_current=False)
    app.conf.update(
        **connection.celery_settings(url),
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=False,
        task_send_sent_event=True,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        event_exchange=names.EVENTS,
        # what Flower does not read within this time it need not read at all
        event_queue_ttl=30.0,
    )
    _try_often(app)
    return app


def progress_sender(app: Celery, name: str) -> Callable[[str, str], None]:
    """A function that shows words for a task in Flower; for one thread's use."""

    def send(task_id: str, words: str) -> None:
        with app.events.default_dispatcher(hostname=_NODE.format(name=name)) as dispatcher:
            dispatcher.send("task-progress", uuid=task_id, retry=False, result=words)

    return send


def serve(
    app: Celery,
    *,
    name: str,
    slots: int,
    drain: Drain,
    ready: Callable[[], None],
    refuse: Callable[[str], None],
) -> int:
    """Take tasks until a signal drains the worker; returns its exit code.

    `ready` is called once tasks are being taken; `refuse` hears of what is taken for no task. SIGTERM and
    SIGINT reach `drain` and let running tasks end.
    """
    signals.setup_logging.connect(_keep_logging, weak=False)
    _take_tasks_alone(refuse)

    def on_ready(**_: Any) -> None:
        drain.listen()
        ready()

    signals.worker_ready.connect(on_ready, weak=False)
    worker = app.Worker(
        hostname=_NODE.format(name=name),
        pool_cls="threads",
        concurrency=slots + BESIDE_ENGINES,
        queues=[names.queue(name)],
        loglevel="WARNING",
        task_events=True,
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _try_often(app: Celery) -> None:
    """Let a worker be back soon after Redis is, and say seldom that it is not."""
    make = app.amqp.Connection
    said_at_s = float("-inf")

    def connection(*args: Any, **given: Any) -> Any:
        made: Any = make(*args, **given)
        pauses = {"interval_start": RETRY_EVERY_S, "interval_step": 0.0, "interval_max": RETRY_EVERY_S}
        made.ensure_connection = partial(made.ensure_connection, **pauses)
        return made

    def seldom(record: logging.LogRecord) -> bool:
        nonlocal said_at_s
        if "Cannot connect" not in str(record.msg):
            return True
        due = time.monotonic() - said_at_s > SAY_AGAIN_AFTER_S
        said_at_s = time.monotonic() if due else said_at_s
        return due

    amqp: Any = app.amqp
    amqp.Connection = connection
    logging.getLogger("celery.worker.consumer.consumer").addFilter(seldom)


def _take_tasks_alone(refuse: Callable[[str], None]) -> None:
    """Whatever is in the queue reaches Celery as a task like those of a coordinator, or not at all."""
    # kombu has no place for it between the queue and the books that it keeps of what it took
    room: Any = transport
    deliver = room.Transport._deliver  # noqa: SLF001

    def deliver_tasks(self: Any, entry: object, queue: str) -> None:
        try:
            message = task_message(entry, queue=queue)
        except MessageError as error:
            refuse(str(error))
        else:
            deliver(self, message, queue)

    room.loads = parsed
    room.Transport._deliver = deliver_tasks  # noqa: SLF001


def _keep_logging(**_: Any) -> None:
    """Celery leaves logging alone where somebody listens to this signal."""
