"""The engine's gRPC client: one unary call over one kept connection, stamped at the socket, never sent twice.

Runs inside gevent, beside the HTTP/1 client and with the same promises. A connection carries one call at a
time: as many connections are open as calls are in flight, so that no call waits behind another one's bytes.
"""

import struct
from collections.abc import Callable
from typing import Final

from workers.engine.connection import Connector
from workers.engine.endpoint import Endpoint
from workers.engine.exchange import Exchange
from workers.engine.grpc_call import Call
from workers.engine.h2_connection import H2Connection, open_connection
from workers.engine.h2_headers import RequestHead
from workers.engine.lines import MAX_CONNECTIONS, Lines
from workers.engine.trips import Trips
from workers.protocols.contract import Request

MAX_ANSWER_BYTES: Final = 100 * 1024 * 1024


class GrpcClient:
    """Kept connections to one endpoint, the last used first.

    `timeout_s` runs from the first byte written to the last byte read, and is sent as `grpc-timeout`;
    connecting may take as long, apart from it. `max_connections`: more calls at once are a mistake of the
    caller. `max_answer_bytes`: of one answer, as received.
    """

    __slots__ = ("_connector", "_endpoint", "_head", "_lines", "_trips")

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        *,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        if endpoint.context is not None:
            endpoint.context.set_alpn_protocols(["h2"])
        self._endpoint = endpoint
        self._connector = Connector(endpoint)
        self._head = RequestHead(endpoint.authority, secure=endpoint.context is not None, timeout_s=timeout_s)
        self._trips = Trips(timeout_s, answer_bytes=max_answer_bytes)
        self._lines = Lines(self._connect, most=max_connections)

    def send(
        self,
        request: Request,
        headers_block: bytes,
        *,
        authorised: Callable[[], bool],
        on_sent: Callable[[int], None] | None = None,
        own_lines: bytes = b"",
    ) -> Exchange:
        """Make a call once and wait for its answer, or for how it failed.

        `request.body` is the message, without gRPC's prefix. `headers_block`: lines as `header_block` made
        them, which become metadata (lower-case; those that only HTTP/1 knows are left out); `own_lines`: of
        this call alone, likewise. `exchange.status` is the HTTP status of the answer's gRPC code.
        `authorised` is asked right before the first byte of the call: if it says no, none is written.
        `on_sent(sent_ns)` is called once the first write returned.
        Raises TargetRefusedError where the address is not on the allow-list, EngineError beyond
        `max_connections`.
        """
        head = self._head.encode(request, headers_block, own_lines)
        message = struct.pack(">BI", 0, len(request.body)) + request.body

        def trip(connection: H2Connection, exchange: Exchange) -> bool:
            return Call(connection, exchange, message=message, trips=self._trips).make(head, on_sent)

        return self._lines.carry(trip, authorised)

    def close(self) -> None:
        """Close idle connections, those in flight with their calls. Nothing can be sent afterwards."""
        self._lines.close()
        self._trips.close()

    def _connect(self) -> H2Connection:
        return open_connection(self._connector, self._endpoint, limit_s=self._trips.timeout_s)
