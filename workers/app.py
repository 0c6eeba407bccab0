"""Celery as a worker uses it: a thread pool on this worker's own queue, which carries tasks only."""

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from celery import Celery, signals

from workers.contract import broker, names

BESIDE_ENGINES = 8
"""Threads beside those of the slots, for attempts that need no engine: faults, telemetry."""
_NODE = "shakeout@{name}"

log = logging.getLogger(__name__)


def build(url: str) -> Celery:
    """The Celery app: JSON only, no results, no remote control, nothing reserved beyond what runs."""
    app = Celery("shakeout", set_as_current=False)
    app.conf.update(
        **broker.celery_settings(url),
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
    return app


def progress_sender(app: Celery, name: str) -> Callable[[str, str], None]:
    """A function that shows words for a task in Flower; for one thread's use."""

    def send(task_id: str, words: str) -> None:
        with app.events.default_dispatcher(hostname=_NODE.format(name=name)) as dispatcher:
            dispatcher.send("task-progress", uuid=task_id, retry=False, result=words)

    return send


def serve(app: Celery, *, name: str, slots: int, draining: threading.Event, ready: Callable[[], None]) -> int:
    """Take tasks until a signal drains the worker; returns its exit code.

    `ready` is called once tasks are being taken. SIGTERM and SIGINT set `draining` and let running tasks end.
    """
    signals.setup_logging.connect(_keep_logging, weak=False)

    def on_ready(**_: Any) -> None:
        _drain_first(draining)
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


def _keep_logging(**_: Any) -> None:
    """Celery leaves logging alone where somebody listens to this signal."""


def _drain_first(draining: threading.Event) -> None:
    """Wrap Celery's handlers: attempts are told to hand over before Celery waits for them to end."""
    warm = signal.getsignal(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _wrapped(warm, draining))
    signal.signal(signal.SIGQUIT, _wrapped(signal.getsignal(signal.SIGQUIT), draining))


def _wrapped(inner: Any, draining: threading.Event) -> Callable[[int, FrameType | None], None]:
    seen: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if not seen:  # a second signal may interrupt `set`, and would wait for its lock for ever
            seen.append(number)
            draining.set()
        if callable(inner):
            inner(number, frame)

    return on_signal
