"""The Celery tasks: one a kind, each of three lines; the work is in workers/attempt.py."""

from collections.abc import Callable
from typing import Any

from celery import Celery

from workers.contract import names

Run = Callable[[object, str], None]
"""Takes a task's one argument, a ShardTask as JSON makes it, and the task's id."""


def register(app: Celery, run: Run) -> None:
    """Add the tasks to the app."""

    @app.task(name=names.TASK.format(kind="load"), bind=True)
    def load(self: Any, body: object) -> None:
        run(body, str(self.request.id))

    @app.task(name=names.TASK.format(kind="soak"), bind=True)
    def soak(self: Any, body: object) -> None:
        run(body, str(self.request.id))

    @app.task(name=names.TASK.format(kind="regression"), bind=True)
    def regression(self: Any, body: object) -> None:
        run(body, str(self.request.id))

    @app.task(name=names.TASK.format(kind="chaos"), bind=True)
    def chaos(self: Any, body: object) -> None:
        run(body, str(self.request.id))
