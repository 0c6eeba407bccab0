"""One request and its answer on an open connection: written once, read to its end, failures put in words."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import gevent

from workers.engine.breath import breathe
from workers.engine.connection import Connection
from workers.engine.exchange import Exchange
from workers.engine.response import BrokenAnswerError, Response
from workers.protocols.contract import Request

RECV_BYTES: Final = 64 * 1024
YIELD_BYTES: Final = 1024 * 1024
"""A target whose bytes are always there already lets the other requests run this often."""

monotonic_ns = time.monotonic_ns


@dataclass(frozen=True, slots=True)
class Limits:
    """`timeout_s`: first byte written to last byte read. `answer_bytes`: of one answer, as received."""

    timeout_s: float
    answer_bytes: int


def round_trip(
    connection: Connection,
    exchange: Exchange,
    *,
    request: Request,
    data: bytes,
    limits: Limits,
    on_sent: Callable[[int], None] | None,
) -> bool:
    """Write `data`, which is `request` encoded, and fill in `exchange` with what came of it.

    Says whether the connection may carry another request.
    """
    response = Response(without_body=request.method == "HEAD")
    timer = gevent.Timeout(limits.timeout_s)
    timer.start()
    whole = False
    try:
        whole = _write(connection, exchange, data=data, on_sent=on_sent)
        _read(
            connection, exchange, response=response, stream=request.stream, answer_bytes=limits.answer_bytes
        )
    except gevent.Timeout as fired:
        if fired is not timer:
            raise
        exchange.fail("timeout", _timeout_text(response, limits.timeout_s), at_ns=monotonic_ns())
    except BrokenAnswerError as error:
        exchange.fail("invalid", f"not a valid HTTP answer: {error}", at_ns=monotonic_ns())
    except OSError as error:
        exchange.fail("reset", _reset_text(error, exchange, response=response), at_ns=monotonic_ns())
    finally:
        timer.close()
        timer.__traceback__ = None  # or it and this frame hold each other, and the engine collects no cycles
    connection.used = True
    connection.streamed = request.stream
    if not request.stream:
        exchange.body = b"".join([piece for _, piece in exchange.pieces])
        exchange.pieces.clear()
    exchange.status = response.status
    if response.headers_complete:
        exchange.head = response.head()
        _check_encoding(exchange)
    return whole and response.keep and not exchange.error


def _write(
    connection: Connection, exchange: Exchange, *, data: bytes, on_sent: Callable[[int], None] | None
) -> bool:
    """Whether all of it was taken. A target that answers before it has read all may cut us short."""
    before_ns = monotonic_ns()
    written = connection.socket.send(data)
    exchange.sent_ns = before_ns
    if on_sent is not None:
        on_sent(before_ns)
    if written < len(data):
        try:
            connection.socket.sendall(memoryview(data)[written:])
        except OSError:
            return False  # an answer may be there all the same; if not, reading says how it failed
    return True


def _read(
    connection: Connection, exchange: Exchange, *, response: Response, stream: bool, answer_bytes: int
) -> None:
    recv, parts, pieces = connection.socket.recv, response.parts, exchange.pieces
    received, yield_at = 0, YIELD_BYTES
    while not response.complete:
        data = recv(RECV_BYTES)
        now_ns = monotonic_ns()
        if not data:
            _at_end(exchange, response=response, stream=stream)
            break
        exchange.last_ns = now_ns
        response.take(data)
        if parts:
            pieces.append((now_ns, b"".join(parts)))
            parts.clear()
        received += len(data)
        if received > answer_bytes:
            raise BrokenAnswerError(f"over {answer_bytes} bytes")
        if received >= yield_at:
            yield_at = received + YIELD_BYTES
            breathe()


def _at_end(exchange: Exchange, *, response: Response, stream: bool) -> None:
    """The target closed in order: the end of an answer without a length, else too early."""
    with contextlib.suppress(BrokenAnswerError):
        response.take(b"")
    if response.complete:
        return
    if stream and response.headers_complete:
        exchange.truncated = True
        return
    exchange.fail("reset", "connection closed " + _when(exchange, response=response), at_ns=monotonic_ns())


def _timeout_text(response: Response, timeout_s: float) -> str:
    what = "the answer did not end" if response.headers_complete else "no answer"
    return f"{what} within {timeout_s:g} s"


def _reset_text(error: OSError, exchange: Exchange, *, response: Response) -> str:
    words = os.strerror(error.errno).lower() if error.errno else str(error)
    return f"{words} {_when(exchange, response=response)}"


def _when(exchange: Exchange, *, response: Response) -> str:
    if response.headers_complete:
        return "before the answer's end"
    if exchange.last_ns:
        return "inside the answer's headers"
    return "before an answer, on a kept connection" if exchange.reused else "before an answer"


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
