"""The Celery tasks: one a kind, each of three lines; the work is in workers/attempts/attempt.py."""

from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.exceptions import Ignore

from workers.contract.broker import names
from workers.contract.errors import AttemptError, RepeatError

Run = Callable[[object, str], str]
"""Takes a task's one argument, a ShardTask as JSON makes it, and the task's id; gives what to show of it."""


def register(app: Celery, run: Run) -> None:
    """Add the tasks to the app."""

    @app.task(name=names.TASK.format(kind="load"), bind=True, throws=(AttemptError,))
    def load(self: Any, body: object) -> str:
        return _done(run, self, body)

    @app.task(name=names.TASK.format(kind="soak"), bind=True, throws=(AttemptError,))
    def soak(self: Any, body: object) -> str:
        return _done(run, self, body)

    @app.task(name=names.TASK.format(kind="regression"), bind=True, throws=(AttemptError,))
    def regression(self: Any, body: object) -> str:
        return _done(run, self, body)

    @app.task(name=names.TASK.format(kind="chaos"), bind=True, throws=(AttemptError,))
    def chaos(self: Any, body: object) -> str:
        return _done(run, self, body)

    @app.task(name=names.TASK.format(kind="watch"), bind=True, throws=(AttemptError,))
    def watch(self: Any, body: object) -> str:
        return _done(run, self, body)


def _done(run: Run, task: Any, body: object) -> str:
    """Run it; of a repeat nothing is shown, for the task of that id still runs."""
    try:
        return run(body, str(task.request.id))
    except RepeatError as error:
        raise Ignore(str(error)) from error
