"""The sender's way to Redis: it looks at every new connection first, for behind it may be another server.

A server that was restarted, or took over, may lack what was acknowledged before. A stream's ids only grow:
were a new snapshot sent there before those that it lacks, they could never be added again.
"""

from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as AwayError

from workers.contract.broker import connection

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis


class Way:
    """For one thread's use. `changed` is called with the client before anything is sent to another server."""

    def __init__(self, url: str, *, changed: "Callable[[redis.Redis], None]") -> None:
        self.client = connection.client(url, connecting=self._connecting)
        self._changed = changed
        self._server = ""
        self._known = self._may_connect = False

    def look(self) -> None:
        """Make sure that the connection leads to the server that has what was sent. Raises redis errors."""
        if self._known:
            return
        self._may_connect = True
        try:
            server = str(self.client.info("server")["run_id"])
        finally:
            self._may_connect = False
        if self._server and server != self._server:
            self._changed(self.client)
        self._server, self._known = server, True

    def lost(self) -> None:
        """A call failed: look again before the next."""
        self._known = False

    def leave(self) -> None:
        """Let the connection go: it may lead to a primary that is none any more."""
        self.client.connection_pool.disconnect()
        self.lost()

    def _connecting(self) -> None:
        """redis-py connects again by itself, in the middle of a call: not before we have looked."""
        if not self._may_connect:
            raise AwayError("the connection to Redis was lost")
