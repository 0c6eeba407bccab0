"""The answer to one gRPC call, from its frames to what an exchange says of it.

Source: gRPC over HTTP2, Responses (Length-Prefixed-Message, Trailers); RFC 9113, section 8.1.
"""

from typing import Final

from workers.engine import h2_frames as h2
from workers.engine.exchange import Exchange
from workers.engine.h2_frames import BrokenFramesError, Frame, content
from workers.engine.h2_hpack import MAX_HEAD_BYTES, HeadReader, Pairs
from workers.protocols.grpc_status import CODES, DEADLINE_EXCEEDED, code_of

PREFIX_BYTES: Final = 5
"""Before each message: whether it is compressed, and its length in four bytes."""
DEADLINE_SHARE: Final = 0.95
"""A target that gives up in the last part of a call's time tells of our own deadline, which it was sent."""
MAX_ERROR_BYTES: Final = 64 * 1024
"""How much of an answer that is no gRPC is kept to say why."""


class Reply:
    """`began`: its headers have come; `ended`: its last byte."""

    __slots__ = ("_block", "_ending", "_heads", "_pairs", "_parts", "_stream", "began", "ended", "status")

    def __init__(self, stream: int, heads: HeadReader) -> None:
        self._stream = stream
        self._heads = heads
        self._pairs: Pairs = []
        self._parts: list[bytes] = []
        self._block: bytes | None = None
        self._ending = False
        self.status = 0
        self.began = False
        self.ended = False

    def take(self, frame: Frame) -> None:
        """Take DATA, HEADERS or CONTINUATION of this call. Raises BrokenFramesError."""
        if self.ended:
            raise BrokenFramesError("a frame after the end of the answer")
        if frame.kind == h2.CONTINUATION:
            if self._block is None:
                raise BrokenFramesError("CONTINUATION without HEADERS before it")
            self._block += frame.payload
        elif self._block is not None:
            raise BrokenFramesError("headers that are interrupted")
        elif frame.kind == h2.HEADERS:
            self._block = content(frame)
            self._ending = bool(frame.flags & h2.END_STREAM)
        else:
            if not self.began:
                raise BrokenFramesError("DATA before HEADERS")
            self._parts.append(content(frame))
            self.ended = bool(frame.flags & h2.END_STREAM)
            return
        if len(self._block) > MAX_HEAD_BYTES:
            raise BrokenFramesError(f"headers over {MAX_HEAD_BYTES // 1024} KiB")
        if frame.flags & h2.END_HEADERS:
            self._head(self._block)
            self._block = None

    def fill(self, exchange: Exchange, *, timeout_s: float) -> None:
        """Say in the exchange what the answer was, as far as it came."""
        if not self.began:
            return
        exchange.head = b"HTTP/2 %d" % self.status
        exchange.parsed = [pair for pair in self._pairs if pair[0][:1] != ":"]
        data = b"".join(self._parts)
        if self.status != 200:
            exchange.status = self.status
            exchange.body = data[:MAX_ERROR_BYTES]
        elif not exchange.error:
            self._read(exchange, data, timeout_s=timeout_s)

    def _head(self, block: bytes) -> None:
        pairs = self._heads.read(block)
        if self.began:
            if not self._ending:
                raise BrokenFramesError("trailers that do not end the answer")
            self._pairs = self._pairs + pairs
        else:
            name, status = pairs[0] if pairs else ("", "")
            if name != ":status" or len(status) != 3 or not (status.isascii() and status.isdigit()):
                raise BrokenFramesError("headers that do not begin with a status")
            if status[0] == "1" and not self._ending:  # an interim answer
                return
            self.status = int(status)
            self._pairs = pairs
            self.began = True
        self.ended = self._ending

    def _read(self, exchange: Exchange, data: bytes, *, timeout_s: float) -> None:
        """An answer of HTTP status 200 that ended: its gRPC status decides."""
        found = dict(self._pairs)
        media = found.get("content-type", "")
        if not media.startswith("application/grpc"):
            text = f"content-type {media!r:.80} is not gRPC's"
            exchange.fail("invalid", text, at_ns=exchange.last_ns)
            return
        told = found.get("grpc-status")
        if told is None:
            text = "the answer ended without a grpc-status (its trailers are missing)"
            exchange.fail("invalid", text, at_ns=exchange.last_ns)
            return
        code = code_of(told)
        exchange.status = CODES[code].http_status
        if code == 0:
            self._unwrap(exchange, data)
        elif code == DEADLINE_EXCEEDED:
            took_s = (exchange.last_ns - exchange.sent_ns) / 1e9
            if took_s >= DEADLINE_SHARE * timeout_s:
                text = f"the target gave up after {took_s:.3g} s of {timeout_s:g} s (DEADLINE_EXCEEDED)"
                exchange.fail("timeout", text, at_ns=exchange.last_ns)

    def _unwrap(self, exchange: Exchange, data: bytes) -> None:
        """The one message of a unary answer."""
        size = int.from_bytes(data[1:PREFIX_BYTES], "big")
        wrong = ""
        if len(data) < PREFIX_BYTES:
            wrong = "the answer holds no message, though its grpc-status is 0"
        elif data[0]:
            wrong = "a compressed message, though identity was asked for"
        elif len(data) < PREFIX_BYTES + size:
            wrong = f"the answer ended after {len(data) - PREFIX_BYTES} of its message's {size} bytes"
        elif len(data) > PREFIX_BYTES + size:
            wrong = "more than one message in the answer to a unary call"
        if wrong:
            exchange.fail("invalid", wrong, at_ns=exchange.last_ns)
        else:
            exchange.body = data[PREFIX_BYTES:]
