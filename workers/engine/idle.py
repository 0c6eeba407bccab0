"""Connections between two requests: which of them may carry another one.

llama.cpp's server says keep-alive and closes after each streamed answer all the same, a moment later. Whoever
is quicker sends into the close, and books a reset that no user would have seen. So after streams a target has
to show first that it keeps its connections: one of them must be found open after a while.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from workers.engine.connection import NoConnectionError
from workers.engine.exchange import Exchange

IDLE_NS: Final = 60 * 1_000_000_000
"""Connections idle for longer are closed, one at each return, so that a burst's do not stay for the night."""
PROOF_NS: Final = 50_000_000
"""A server that closes after its answer does so within this, unless it hangs."""

monotonic_ns = time.monotonic_ns


class Reusable(Protocol):
    """A connection that may serve again: see `open_connection.Connection`."""

    idle_ns: int
    used: bool
    streamed: bool

    def is_stale(self) -> bool:
        """Whether nothing may be sent on it any more."""

    def close(self) -> None:
        """Close it; never raises."""


Kept = TypeVar("Kept", bound=Reusable)


class Idle(Generic[Kept]):
    """Open connections without a request, the last used first.

    Until a connection was seen open PROOF_NS after a streamed answer, those that carried one wait; from then
    on they are used again at once. If it was seen closed instead, none is kept after a stream.
    """

    __slots__ = ("_keeps_streams", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Kept] = deque()
        self._keeps_streams: bool | None = None

    def take(self) -> Kept | None:
        """One that may be used now and is still open; None where a new one is needed."""
        while self._waiting:
            if self._waiting[-1].streamed and self._keeps_streams is None and not self._try_oldest():
                return None
            if not self._waiting:
                return None
            connection = self._waiting.pop()
            if not connection.is_stale():
                return connection
            connection.close()
        return None

    def take_or_open(self, connect: Callable[[], Kept], exchange: Exchange) -> Kept | None:
        """An idle one, else a new one; the time that connecting took, and how it failed, go to `exchange`."""
        connection = self.take()
        if connection is not None:
            exchange.reused = connection.used
            return connection
        began_ns = monotonic_ns()
        try:
            return connect()
        except NoConnectionError as error:
            exchange.fail("exhausted" if error.exhausted else "connect", str(error), at_ns=monotonic_ns())
            return None
        finally:
            exchange.connect_ns = monotonic_ns() - began_ns

    def put(self, connection: Kept) -> None:
        """Keep it for another request, if the target is known to do so, or not known not to."""
        if connection.streamed and self._keeps_streams is False:
            connection.close()
            return
        connection.idle_ns = monotonic_ns()
        self._waiting.append(connection)
        if connection.idle_ns - self._waiting[0].idle_ns > IDLE_NS:
            self._waiting.popleft().close()

    def close(self) -> None:
        """Close them all."""
        while self._waiting:
            self._waiting.pop().close()

    def _try_oldest(self) -> bool:
        """Look at the one that waited longest; whether anything was learned."""
        oldest = self._waiting[0]
        if monotonic_ns() - oldest.idle_ns < PROOF_NS:
            return False
        self._keeps_streams = not oldest.is_stale()
        if not self._keeps_streams:
            self.close()
        return True
