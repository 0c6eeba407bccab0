"""Locust users, one a request in flight: real ones in a real Locust environment, driven by a source of work.

A user's single task never ends: it asks its source for the next arrival and sends it. Locust's own pacing
(`wait_time`) and statistics are not used; listeners of `events.request`, if there are any, are fired.
"""

from collections.abc import Callable
from typing import Any, Protocol

from gevent.pool import Group
from locust import User, constant, task
from locust.env import Environment


class Source(Protocol):
    """Where a user's work comes from: runs in the user's greenlet until there is no more."""

    def work(self) -> None:
        """Take and send arrivals, one after the other."""


class EngineUser(User):
    """A user of the engine; `source` is set on the class made for a target's protocol."""

    abstract = True
    wait_time = constant(0)
    source: Source

    @task
    def serve(self) -> None:
        """Work until the source has no more."""
        self.source.work()
        self.stop(force=True)


class Crowd:
    """The users of one attempt; `add` starts one more."""

    __slots__ = ("_class", "_group", "environment", "size")

    def __init__(self, protocol: str, *, host: str) -> None:
        name = "".join(part.capitalize() for part in protocol.split("-")) + "User"
        self._class: type[EngineUser] = type(name, (EngineUser,), {"host": host})
        self.environment = Environment(user_classes=[self._class], host=host, catch_exceptions=False)
        self._group = Group()
        self.size = 0

    def employ(self, source: Source) -> None:
        """Say where the users' work comes from."""
        self._class.source = source

    def add(self) -> None:
        """Start one more user."""
        self._class(self.environment).start(self._group)
        self.size += 1

    def on_trouble(self, tell: Callable[[BaseException], None]) -> None:
        """Have every error that a user's work raises told."""

        def listener(exception: BaseException, **_: object) -> None:
            tell(exception)

        event: Any = self.environment.events.user_error
        event.add_listener(listener)

    def request_listener(self) -> Callable[..., Any] | None:
        """`events.request.fire` where someone listens, else None: it costs more than our own record."""
        event = self.environment.events.request
        return event.fire if event._handlers else None  # noqa: SLF001  # locust offers no other look
