"""One request and its answer on an open connection: written once, read to its end, failures put in words."""

import contextlib
import time
from collections.abc import Callable

import gevent
import msgspec

from workers.engine.deadline import Deadline
from workers.engine.exchange import Exchange, Failure
from workers.engine.failures import words_of
from workers.engine.heads import Head
from workers.engine.open_connection import LATER, Connection
from workers.engine.response import BrokenAnswerError, Response
from workers.engine.trips import Trips
from workers.protocols.contract import Request

monotonic_ns = time.monotonic_ns


def round_trip(
    connection: Connection,
    exchange: Exchange,
    *,
    request: Request,
    data: bytes,
    trips: Trips,
    on_sent: Callable[[int], None] | None,
) -> bool:
    """Write `data`, which is `request` encoded, and fill in `exchange` with what came of it.

    Says whether the connection may carry another request.
    """
    trip = Trip(exchange, trips, request)
    connection.taker = trip
    before_ns = monotonic_ns()
    try:
        written = connection.write(data)
    except LATER:
        written = 0
    except OSError as error:
        trip.broke(error, monotonic_ns())
        return False
    exchange.sent_ns = before_ns
    if on_sent is not None:
        on_sent(before_ns)
    try:
        whole = written == len(data) or _write_rest(
            connection, trip, rest=memoryview(data)[written:], limit_s=trips.timeout_s
        )
        if not trip.is_over:
            trips.wait(trip, since_ns=before_ns)
    finally:
        if trip.held:
            trips.let_go(trip.held)
    if trip.mistake is not None:
        raise trip.mistake
    connection.taker = None
    connection.used = True
    connection.streamed = request.stream
    if trip.response is not None:
        trip.settle(trip.response)
    return whole and trip.keep and not exchange.error


class Trip(msgspec.Struct, eq=False):
    """A `Taker`: one answer on its way in. `keep`: the connection may carry another request.

    `held`: bytes that were counted as held, of an answer that took more than one read.
    `response`: the parser at work, None while none was needed. `waiter`: the greenlet that waits for the end.
    `mistake`: of ours, that came up on the way.
    """

    _exchange: Exchange
    _trips: Trips
    _request: Request
    _received: int = 0
    _first: bytes = b""
    held: int = 0
    is_over: bool = False
    keep: bool = False
    response: Response | None = None
    waiter: gevent.Greenlet | None = None
    mistake: Exception | None = None

    def take(self, data: bytes, now_ns: int) -> None:
        """Read on; `data` came at `now_ns`, none is the connection's end."""
        if self.is_over:
            self.keep = False  # more than the answer
            return
        try:
            if self.response is None:
                head = self._trips.heads.whole(data)
                if head is not None and self._is_known(head, data, now_ns):
                    return
                self.response = Response(without_body=self._request.method == "HEAD")
                self._first = data
            if data:
                self._read(self.response, data, now_ns)
            else:
                self._at_end(self.response, now_ns)
        except Exception as error:  # noqa: BLE001  # raised again by the request's greenlet, not in the loop
            self.mistake = error
            self._end(keep=False)

    def broke(self, error: OSError, now_ns: int) -> None:
        """The connection failed."""
        self._fail("reset", f"{words_of(error)} {self._when()}", now_ns)

    def too_late(self, now_ns: int) -> None:
        """Its time is up."""
        what = "the answer did not end" if self._has_head else "no answer"
        self._fail("timeout", f"{what} within {self._trips.timeout_s:g} s", now_ns)

    def settle(self, response: Response) -> None:
        """Fill in what the parser knows, once nothing more is read."""
        exchange, request = self._exchange, self._request
        if not request.stream:
            exchange.body = b"".join([piece for _, piece in exchange.pieces])
            exchange.pieces.clear()
        exchange.status = response.status
        self.keep = self.keep and response.keep
        if not response.headers_complete:
            return
        exchange.head = response.head()
        _check_encoding(exchange)
        in_one = self._received == len(self._first) and request.method != "HEAD"
        if in_one and self.keep and not exchange.error:
            self._trips.heads.learn(
                self._first, raw=exchange.head, status=exchange.status, headers=tuple(exchange.headers)
            )

    def _is_known(self, head: Head, data: bytes, now_ns: int) -> bool:
        """Take a whole answer whose head was seen before; not where such bytes could mean something else."""
        if self._request.method == "HEAD" or len(data) > self._trips.answer_bytes:
            return False
        exchange = self._exchange
        exchange.last_ns = now_ns
        exchange.status, exchange.head, exchange.parsed = head.status, head.raw, head.headers
        body = data[len(data) - head.length :] if head.length else b""
        if not self._request.stream:
            exchange.body = body
        elif body:
            exchange.pieces.append((now_ns, body))
        self.is_over = self.keep = True
        if self.waiter is not None:
            self._trips.over(self)
        return True

    def _read(self, response: Response, data: bytes, now_ns: int) -> None:
        exchange = self._exchange
        exchange.last_ns = now_ns
        try:
            response.take(data)
        except BrokenAnswerError as error:
            self._fail("invalid", f"not a valid HTTP answer: {error}", now_ns)
            return
        parts = response.parts
        if parts:
            exchange.pieces.append((now_ns, parts[0] if len(parts) == 1 else b"".join(parts)))
            parts.clear()
        self._received += len(data)
        if self._received > self._trips.answer_bytes:
            limit = self._trips.answer_bytes
            self._fail("invalid", f"not a valid HTTP answer: over {limit} bytes", now_ns)
        elif response.complete:
            self._end(keep=True)
        else:
            self.held = self._received
            if too_much := self._trips.hold(len(data), of=self.held):
                self._fail("invalid", too_much, now_ns)

    def _at_end(self, response: Response, now_ns: int) -> None:
        """The target closed in order: the end of an answer without a length, else too early."""
        with contextlib.suppress(BrokenAnswerError):
            response.take(b"")
        if response.complete:
            self._end(keep=False)
        elif self._request.stream and response.headers_complete:
            self._exchange.truncated = True
            self._end(keep=False)
        else:
            self._fail("reset", "connection closed " + self._when(), now_ns)

    def _fail(self, error: Failure, text: str, now_ns: int) -> None:
        if not self.is_over:
            self._exchange.fail(error, text, at_ns=now_ns)
            self._end(keep=False)

    def _end(self, *, keep: bool) -> None:
        self.is_over = True
        self.keep = keep
        if self.waiter is not None:
            self._trips.over(self)

    @property
    def _has_head(self) -> bool:
        return self.response is not None and self.response.headers_complete

    def _when(self) -> str:
        if self._has_head:
            return "before the answer's end"
        if self._exchange.last_ns:
            return "inside the answer's headers"
        return "before an answer, on a kept connection" if self._exchange.reused else "before an answer"


def _write_rest(connection: Connection, trip: Trip, *, rest: memoryview, limit_s: float) -> bool:
    """Whether all of it was taken; a target that answers before it has read all cuts us short."""
    try:
        with Deadline(limit_s, _Slow()):
            return connection.write_rest(rest, whose=trip)
    except _Slow:
        trip.too_late(monotonic_ns())
    except OSError:
        pass  # an answer may be there all the same; if not, reading says how it failed
    return False


class _Slow(Exception):  # noqa: N818  # an end of time, no error
    """The time of a request was over before all of it was written."""


def _check_encoding(exchange: Exchange) -> None:
    """Refuse a compressed answer that nobody asked for, in better words than "not JSON"."""
    if exchange.error or not 200 <= exchange.status < 300:
        return
    if b"\ncontent-encoding:" not in exchange.head.lower():
        return
    codings = [value for name, value in exchange.headers if name == "content-encoding"]
    if any(coding.lower() not in {"", "identity"} for coding in codings):
        text = f"content-encoding {', '.join(codings)}, though identity was asked for"
        exchange.fail("invalid", text, at_ns=exchange.last_ns)
