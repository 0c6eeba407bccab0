"""Connections between two requests: which of them may carry another one.

llama.cpp's server says keep-alive and closes after each streamed answer all the same, a moment later. Whoever
is quicker sends into the close, and books a reset that no user would have seen. So after streams a target has
to show first that it keeps its connections: one of them must be found open after a while.
"""

import time
from collections import deque
from typing import Final

from workers.engine.open_connection import Connection

IDLE_NS: Final = 60 * 1_000_000_000
"""Connections idle for longer are closed, one at each return, so that a burst's do not stay for the night."""
PROOF_NS: Final = 50_000_000
"""A server that closes after its answer does so within this, unless it hangs."""

monotonic_ns = time.monotonic_ns


class Idle:
    """Open connections without a request, the last used first.

    Until a connection was seen open PROOF_NS after a streamed answer, those that carried one wait; from then
    on they are used again at once. If it was seen closed instead, none is kept after a stream.
    """

    __slots__ = ("_keeps_streams", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Connection] = deque()
        self._keeps_streams: bool | None = None

    def take(self) -> Connection | None:
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

    def put(self, connection: Connection) -> None:
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
