"""The connections of one client: borrowed for one request each, opened where none is idle, and bounded."""

import time
from collections.abc import Callable
from typing import Final, Generic

from workers.contract.errors import EngineError
from workers.engine.exchange import Exchange
from workers.engine.idle import Idle, Kept

MAX_CONNECTIONS: Final = 10_000
"""The default ceiling of `max_in_flight`."""

monotonic_ns = time.monotonic_ns


class Lines(Generic[Kept]):
    """Open connections to one endpoint, of which each carries one request at a time.

    `connect` opens one; it raises NoConnectionError where the target takes none. `most`: more requests at
    once are a mistake of the caller.
    """

    __slots__ = ("_connect", "_idle", "_in_flight", "_most")

    def __init__(self, connect: Callable[[], Kept], *, most: int) -> None:
        self._connect = connect
        self._most = most
        self._idle = Idle[Kept]()
        self._in_flight = 0

    def carry(self, trip: Callable[[Kept, Exchange], bool], authorised: Callable[[], bool]) -> Exchange:
        """Make one trip over one connection; `trip` writes down how it went, and says whether to keep it.

        `authorised` is asked right before: if it says no, nothing is written.
        Raises TargetRefusedError where the address is not on the allow-list, EngineError beyond `most`.
        """
        if self._in_flight >= self._most:
            raise EngineError(f"over {self._most} requests in flight on one client, or it is closed")
        exchange = Exchange()
        connection: Kept | None = None
        keep = False
        self._in_flight += 1
        try:
            connection = self._idle.take_or_open(self._connect, exchange)
            if connection is not None:
                if authorised():
                    keep = trip(connection, exchange)
                else:
                    keep = True
                    exchange.fail("unauthorised", "sending is no longer authorised", at_ns=monotonic_ns())
        finally:
            self._in_flight -= 1
            if connection is not None:
                self._put_back(connection, keep=keep)
        return exchange

    def close(self) -> None:
        """Close idle connections, those in flight with their requests. Nothing is carried afterwards."""
        self._most = 0
        self._idle.close()

    def _put_back(self, connection: Kept, *, keep: bool) -> None:
        if keep and self._most:
            self._idle.put(connection)
        else:
            connection.close()
