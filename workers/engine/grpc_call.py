"""One unary gRPC call on an open connection: written once, its answer read, failures put in words.

Source: gRPC over HTTP2, Requests, Responses, Errors.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workers.engine import h2_frames as h2
from workers.engine.deadline import Deadline
from workers.engine.exchange import Exchange, Failure
from workers.engine.grpc_reply import Reply
from workers.engine.h2_connection import H2Connection
from workers.engine.trips import Trips

if TYPE_CHECKING:
    import gevent

monotonic_ns = time.monotonic_ns


class Call:
    """A call under way: what is left to be written, and the answer so far.

    `waiter`: the greenlet that waits until it is over, or until there is room for more of its message.
    """

    __slots__ = (
        "_exchange", "_granted", "_held", "_left", "_line", "_received", "_reply", "_sent", "_stream",
        "_trips", "is_over", "waiter", "whole",
    )  # fmt: skip

    def __init__(self, line: H2Connection, exchange: Exchange, *, message: bytes, trips: Trips) -> None:
        self._line = line
        self._exchange = exchange
        self._trips = trips
        self._left = memoryview(message)
        self._sent = self._granted = self._received = self._held = 0
        self._stream = line.begin(self)
        self._reply = Reply(self._stream, line.heads)
        self.is_over = False
        self.whole = True
        self.waiter: gevent.Greenlet | None = None

    def make(self, head: bytes, on_sent: Callable[[int], None] | None) -> bool:
        """Write the call, read its answer into the exchange; whether the connection may carry another."""
        line = self._line
        try:
            self._make(head, on_sent)
        finally:
            self._trips.let_go(self._held)
            line.call = None  # or it and this call hold each other, and the engine collects no cycles
        line.used = True
        self._reply.fill(self._exchange, timeout_s=self._trips.timeout_s)
        sent = self.whole and not self._left
        return sent and self._reply.ended and not self._exchange.error and line.takes_more_calls()

    def _make(self, head: bytes, on_sent: Callable[[int], None] | None) -> None:
        line, exchange = self._line, self._exchange
        frames = b"".join([*_head_frames(head, stream=self._stream, limit=line.frame_bytes), *self._next()])
        before_ns = monotonic_ns()
        try:
            written = line.write(frames)
        except OSError as error:
            line.broke(error, monotonic_ns())
            return
        exchange.sent_ns = before_ns
        if on_sent is not None:
            on_sent(before_ns)
        if written < len(frames):
            self._write_rest(memoryview(frames)[written:], since_ns=before_ns)
        while not self.is_over:
            self._trips.wait(self, since_ns=before_ns)
            if not self.is_over and (rest := b"".join(self._next())):
                self._write_rest(memoryview(rest), since_ns=before_ns)

    def take(self, frame: h2.Frame, now_ns: int) -> None:
        """A frame of this call. Raises BrokenFramesError."""
        if self.is_over:
            self.whole &= frame.kind in {h2.WINDOW_UPDATE, h2.RST_STREAM}  # else more than the answer
        elif frame.kind == h2.WINDOW_UPDATE:
            self._granted += h2.read_number(frame)
        elif frame.kind == h2.RST_STREAM:
            self.fail("reset", f"the target reset the call ({h2.error_name(h2.read_number(frame))})", now_ns)
        elif not self._line.own(frame):
            self._exchange.last_ns = now_ns
            self._reply.take(frame)
            if self._reply.ended:
                self._end()

    def more(self, size: int, now_ns: int) -> None:
        """All frames of one read have been taken: end what is too much or lost, write on where room is."""
        self._received += size
        if self.is_over:
            return
        goodbye = self._line.last_stream
        self._held = self._received
        too_much = self._trips.hold(size, of=self._held)
        if self._received > self._trips.answer_bytes:
            self.fail("invalid", f"over {self._trips.answer_bytes} bytes", now_ns)
        elif too_much:
            self.fail("invalid", too_much, now_ns)
        elif goodbye is not None and goodbye < self._stream:
            self.fail("reset", "the target said goodbye (GOAWAY) and took no such call", now_ns)
        elif self._left and self._room() > 0 and self.waiter is not None:
            self._trips.over(self)

    def fail(self, error: Failure, text: str, now_ns: int) -> None:
        """It came to nothing, unless it is over; `text` without when that was."""
        if self.is_over:
            return
        if error == "invalid":
            text = f"not a valid HTTP/2 answer: {text}"
        elif error == "reset":
            text = f"{text} {self._when()}"
        self._exchange.fail(error, text, at_ns=now_ns)
        self._end()

    def too_late(self, now_ns: int) -> None:
        """Its time is up."""
        what = "the answer did not end" if self._reply.began else "no answer"
        self.fail("timeout", f"{what} within {self._trips.timeout_s:g} s", now_ns)

    def _end(self) -> None:
        self.is_over = True
        if self.waiter is not None:
            self._trips.over(self)

    def _room(self) -> int:
        return min(self._line.window, self._line.call_window + self._granted - self._sent)

    def _next(self) -> list[bytes]:
        """Frames of what is left of the message, as far as the windows are open."""
        line = self._line
        frames: list[bytes] = []
        while self._left and (room := self._room()) > 0:
            size = min(len(self._left), line.frame_bytes, room)
            piece, self._left = self._left[:size], self._left[size:]
            self._sent += size
            line.window -= size
            flags = 0 if self._left else h2.END_STREAM
            frames.append(h2.frame(h2.DATA, flags, stream=self._stream, payload=bytes(piece)))
        return frames

    def _write_rest(self, rest: memoryview, *, since_ns: int) -> None:
        """Write all of it. A target that answers before it has read all may cut us short."""
        left_s = self._trips.timeout_s - (monotonic_ns() - since_ns) / 1e9
        try:
            with Deadline(max(left_s, 0.001), _SlowError()):
                self.whole &= self._line.write_rest(rest, whose=self)
        except _SlowError:
            self.too_late(monotonic_ns())
        except OSError:
            self.whole = False  # an answer may be there all the same; if not, reading says how it failed

    def _when(self) -> str:
        if self._reply.began:
            return "before the answer's end"
        return "before an answer, on a kept connection" if self._exchange.reused else "before an answer"


class _SlowError(Exception):
    """The time of a call was over before all of it was written."""


def _head_frames(head: bytes, *, stream: int, limit: int) -> list[bytes]:
    """HEADERS, and CONTINUATION for what does not fit into it."""
    if len(head) <= limit:
        return [h2.frame(h2.HEADERS, h2.END_HEADERS, stream=stream, payload=head)]
    pieces = [head[at : at + limit] for at in range(0, len(head), limit)]
    last = len(pieces) - 1
    return [
        h2.frame(
            h2.CONTINUATION if place else h2.HEADERS,
            h2.END_HEADERS if place == last else 0,
            stream=stream,
            payload=piece,
        )
        for place, piece in enumerate(pieces)
    ]
