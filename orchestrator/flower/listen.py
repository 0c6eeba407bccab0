"""The fleet's events on their way into Flower, from the first try to the last, whatever Redis does.

Flower's own listener waits twice as long after each failed try, without a limit, and asks workers to send
events, which those of this fleet always do.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import redis
from celery import Celery
from celery.events import EventReceiver
from flower.events import EventsState  # type: ignore[import-untyped]

from workers.contract.broker.trouble import explain

AGAIN_AFTER_S = 1.0

log = logging.getLogger(__name__)


class Listener:
    """What Flower knows as its `events`: their sum in `state`, which only `later` (its loop) may touch."""

    def __init__(self, app: Celery, *, tasks: int, workers: int, later: Callable[..., None]) -> None:
        self.state = EventsState(max_tasks_in_memory=tasks, max_workers_in_memory=workers)
        self._app, self._later = app, later
        self._said = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flower-events", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Try no more; a listener that waits for an event ends with the process."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with self._app.connection() as connection:
                    receiver = EventReceiver(connection, handlers={"*": self._hear}, app=self._app)
                    receiver.capture(limit=None, timeout=None, wakeup=False)
            except Exception as error:  # noqa: BLE001  # kombu raises whatever its transport does
                self._complain(error.__cause__ or error)
                self._closing.wait(AGAIN_AFTER_S)

    def _complain(self, error: BaseException) -> None:
        """Say once what Redis refuses; that it is away the announcement tells."""
        if isinstance(error, redis.ResponseError):
            words = explain(error, self._app.conf.broker_url)
            if words != self._said:
                log.warning("no events can be heard: %s; trying again every %g s", words, AGAIN_AFTER_S)
            self._said = words

    def _hear(self, event: dict[str, Any]) -> None:
        # by this clock alone: those of workers may differ, and silence is told by it
        self._later(self.state.event, {**event, "timestamp": event["local_received"]})
