"""The engine's HTTP client: one request over one kept connection, stamped at the socket, never sent twice.

Runs inside gevent. What a target does wrong is data in the `Exchange`; only an address that must not be
loaded raises.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from workers.engine.connection import Connector
from workers.engine.endpoint import Endpoint
from workers.engine.exchange import Exchange
from workers.engine.lines import MAX_CONNECTIONS, Lines
from workers.engine.open_connection import Connection
from workers.engine.roundtrip import round_trip
from workers.engine.trips import HELD_BYTES, Trips
from workers.protocols.contract import Request

MAX_BODY_BYTES: Final = 100 * 1024 * 1024
MAX_OPENINGS: Final = 256
"""Request lines with their headers that are remembered; an activity has a handful."""


class Client:
    """Keep-alive connections to one endpoint, the last used first; each carries one request at a time.

    `timeout_s` runs from the first byte written to the last byte read; connecting may take as long, apart
    from it. `max_connections`: more requests at once are a mistake of the caller. `max_body_bytes`: of one
    answer, as received; `max_held_bytes`: of all that are under way.
    """

    __slots__ = ("_closes", "_connector", "_lines", "_openings", "_trips")

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_held_bytes: int = HELD_BYTES,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._connector = Connector(endpoint)
        self._trips = Trips(timeout_s, answer_bytes=max_body_bytes, held_bytes=max_held_bytes)
        self._lines = Lines(self._connect, most=max_connections)
        self._closes = False
        self._openings: dict[tuple[object, ...], bytes] = {}

    def send(
        self,
        request: Request,
        headers_block: bytes,
        *,
        authorised: Callable[[], bool],
        on_sent: Callable[[int], None] | None = None,
        own_lines: bytes = b"",
    ) -> Exchange:
        """Send a request once and wait for its answer, or for how it failed.

        `headers_block`: what `header_block` made, lines each ended by CRLF; a header of `request` that the
        block already has is left out. `own_lines`: of this request alone, likewise. `authorised` is asked
        right before the first byte: if it says no, nothing is written. `on_sent(sent_ns)` is called as soon
        as the first write returned.
        Raises TargetRefusedError where the address is not on the allow-list, EngineError beyond
        `max_connections`.
        """
        data = self._encode(request, headers_block, own_lines)

        def trip(connection: Connection, exchange: Exchange) -> bool:
            kept = round_trip(
                connection, exchange, request=request, data=data, trips=self._trips, on_sent=on_sent
            )
            return kept and not self._closes

        return self._lines.carry(trip, authorised)

    def close(self) -> None:
        """Close idle connections, those in flight with their requests. Nothing can be sent afterwards."""
        self._lines.close()
        self._trips.close()

    def _connect(self) -> Connection:
        return self._connector.connect(self._trips.timeout_s)

    def _encode(self, request: Request, headers_block: bytes, own_lines: bytes) -> bytes:
        key = (request.path, request.headers, request.method, headers_block)
        opening = self._openings.get(key)
        if opening is None:
            if len(self._openings) >= MAX_OPENINGS:
                self._openings.clear()
            opening = self._openings[key] = _opening(request, headers_block)
            self._closes |= b"\r\nconnection: close\r\n" in opening.lower()
        body = request.body
        if body or request.method not in {"GET", "HEAD"}:
            return b"%b%bcontent-length: %d\r\n\r\n%b" % (opening, own_lines, len(body), body)
        return b"%b%b\r\n" % (opening, own_lines)


def _opening(request: Request, headers_block: bytes) -> bytes:
    """Request line and header lines; those of the block come first, and stand for the request's own."""
    path = quote(request.path, safe="/?&=%:@!$'()*+,;~[]|")
    lines = [f"{request.method} {path} HTTP/1.1\r\n".encode(), headers_block]
    for name, value in request.headers:
        if f"\r\n{name.lower()}:".encode() not in b"\r\n" + headers_block:
            lines.append(f"{name.lower()}: {value}\r\n".encode())
    return b"".join(lines)
