"""One HTTP/2 connection: how it opens, its windows, and the frames that belong to no call.

Opening waits for the target's SETTINGS, so that what speaks no HTTP/2 is known before a call is written.
Nothing here is a request. Source: RFC 9113, sections 3.4, 5.2, 6.5 to 6.9.
"""

import time
from typing import Final, Protocol

from gevent.event import Event

from workers.engine import h2_frames as h2
from workers.engine.connection import Connector, NoConnectionError
from workers.engine.deadline import LEAST_S, Deadline
from workers.engine.endpoint import Endpoint
from workers.engine.exchange import Failure
from workers.engine.failures import words_of
from workers.engine.h2_frames import BrokenFramesError, Frame, FrameReader
from workers.engine.h2_hpack import MAX_HEAD_BYTES, HeadReader
from workers.engine.open_connection import LATER, Connection, Writer

REFILL_BYTES: Final = 1 << 29
"""After so many bytes the connection's receive window is opened again; a call's own never needs it."""
_WELCOME: Final = (
    h2.PREFACE
    + h2.settings(
        {
            h2.ENABLE_PUSH: 0,
            h2.INITIAL_WINDOW_SIZE: h2.MAX_WINDOW,
            h2.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
        }
    )
    + h2.window_update(0, h2.MAX_WINDOW - h2.DEFAULT_WINDOW)
)
"""Windows as wide as they go: an answer is bounded by our own limit, and TCP holds a faster target back."""
_WHICH_PORT: Final = "is this its gRPC port?"


class OpenCall(Protocol):
    """The call under way; called in the event loop, so it may not block."""

    def take(self, frame: Frame, now_ns: int) -> None:
        """A frame of its stream, stamped. Raises BrokenFramesError."""

    def more(self, size: int, now_ns: int) -> None:
        """All frames of one read, of `size` bytes, have been taken."""

    def fail(self, error: Failure, text: str, now_ns: int) -> None:
        """The connection came to an end; `text` without when that was."""


class H2Connection:
    """An open connection that speaks HTTP/2; carries one call at a time, and takes what comes at any time.

    `window`: bytes of DATA that the target still takes on the connection; `call_window`: with which each call
    begins; `frame_bytes`: the longest payload it takes; `last_stream`: the last call that it will answer
    once it said goodbye, else None; `stream`: of the last call; `call`: the one under way.
    """

    __slots__ = (
        "_begun", "_consumed", "_greeted", "_out", "_over", "_reader", "_writing", "call", "call_window",
        "connection", "frame_bytes", "heads", "idle_ns", "last_stream", "stream", "streamed", "used",
        "window",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.heads = HeadReader()
        self.window = self.call_window = h2.DEFAULT_WINDOW
        self.frame_bytes = h2.DEFAULT_FRAME_BYTES
        self.last_stream: int | None = None
        self.stream = -1
        self.call: OpenCall | None = None
        self.used = self.streamed = False
        self.idle_ns = 0
        self._reader = FrameReader()
        self._greeted = Event()
        self._begun = b""
        self._over = ""
        self._consumed = 0
        self._out: list[bytes] = []
        self._writing = False
        connection.taker = self

    def greet(self, limit_s: float) -> None:
        """Say hello and wait for the target's SETTINGS. Raises BrokenFramesError, OSError."""
        self.write(_WELCOME)
        words = f"is silent for {limit_s:.3g} s after HTTP/2's opening bytes; {_WHICH_PORT}"
        with Deadline(limit_s, BrokenFramesError(words)):
            self._greeted.wait()
        if self._over:
            raise BrokenFramesError(self._over)

    def begin(self, call: OpenCall) -> int:
        """Give the connection to a call; its stream's number."""
        self.call = call
        self.stream += 2
        return self.stream

    def takes_more_calls(self) -> bool:
        """Whether it is open, the target said no goodbye, and numbers are left."""
        return not self._over and self.last_stream is None and self.stream < h2.MAX_STREAM - 2

    def is_stale(self) -> bool:
        """Whether no call may be begun here any more; one system call."""
        self.connection.look()
        return not self.takes_more_calls()

    def write(self, data: bytes) -> int:
        """How much of it the kernel took, which may be nothing. Raises OSError."""
        try:
            return int(self.connection.write(data))
        except LATER:
            return 0

    def write_rest(self, rest: memoryview, *, whose: Writer) -> bool:
        """As `Connection.write_rest`; what is owed meanwhile waits, so that no frame is cut by another."""
        self._writing = True
        whole = self.connection.write_rest(rest, whose=whose)
        self._writing = not whole  # a frame was begun and not ended: nothing fits behind it
        self._acknowledge()
        return whole

    def close(self) -> None:
        """Close at once; never raises."""
        self.connection.close()

    def take(self, data: bytes, now_ns: int) -> None:
        """Bytes that came, stamped; none is the connection's end."""
        if not data:
            self._end("reset", "connection closed", now_ns)
            return
        try:
            if len(self._begun) < h2.HEAD_BYTES:
                self._begun += data[: h2.HEAD_BYTES - len(self._begun)]
                _check_beginning(self._begun)
            for frame in self._reader.take(data):
                if frame.stream == self.stream and self.call is not None:
                    self.call.take(frame, now_ns)
                else:
                    self._own_or_old(frame)
        except BrokenFramesError as error:
            self._end("invalid", str(error), now_ns)
            return
        self._acknowledge()
        if self.call is not None:
            self.call.more(len(data), now_ns)

    def broke(self, error: OSError, now_ns: int) -> None:
        """The connection failed."""
        self._end("reset", words_of(error), now_ns)

    def own(self, frame: Frame) -> bool:
        """Take a frame that belongs to no call; False for one of a call. Raises BrokenFramesError."""
        kind = frame.kind
        if kind == h2.DATA:
            self._consume(len(frame.payload))
            return False
        if kind in {h2.HEADERS, h2.CONTINUATION}:
            return False
        if kind == h2.SETTINGS:
            self._settle(frame)
        elif kind == h2.PING:
            if not frame.flags & h2.ACK:
                self._out.append(h2.frame(h2.PING, h2.ACK, payload=frame.payload))
        elif kind == h2.GOAWAY:
            self.last_stream = h2.read_number(frame)
        elif kind == h2.WINDOW_UPDATE and frame.stream == 0:
            self.window += h2.read_number(frame)
        elif kind == h2.PUSH_PROMISE:
            raise BrokenFramesError("a push, though none is allowed")
        else:
            return kind not in {h2.WINDOW_UPDATE, h2.RST_STREAM}
        return True

    def _own_or_old(self, frame: Frame) -> None:
        """Its own frames, and what a target still says of a call that is over. Raises BrokenFramesError."""
        if not self.own(frame) and frame.kind not in {h2.WINDOW_UPDATE, h2.RST_STREAM}:
            raise BrokenFramesError(f"a frame of kind {frame.kind} for stream {frame.stream}")

    def _end(self, error: Failure, text: str, now_ns: int) -> None:
        self._over = text
        self._greeted.set()
        if self.call is not None:
            self.call.fail(error, text, now_ns)

    def _acknowledge(self) -> None:
        """Write what is owed as far as there is room; a target that leaves none does not read either."""
        if not self._out or self._writing:
            return
        data = b"".join(self._out)
        try:
            written = self.write(data)
        except OSError:
            return  # what comes in next says how the connection ended
        self._out = [data[written:]] if written < len(data) else []

    def _consume(self, size: int) -> None:
        self._consumed += size
        if self._consumed >= REFILL_BYTES:
            self._out.append(h2.window_update(0, self._consumed))
            self._consumed = 0

    def _settle(self, frame: Frame) -> None:
        if frame.flags & h2.ACK:
            return
        told = h2.read_settings(frame.payload)
        self.call_window = told.get(h2.INITIAL_WINDOW_SIZE, self.call_window)
        self.frame_bytes = told.get(h2.MAX_FRAME_SIZE, self.frame_bytes)
        if self.call_window > h2.MAX_WINDOW or not h2.DEFAULT_FRAME_BYTES <= self.frame_bytes < 1 << 24:
            raise BrokenFramesError(f"settings beyond HTTP/2's bounds: {told}")
        self._out.append(h2.frame(h2.SETTINGS, h2.ACK))
        self._greeted.set()


def open_connection(connector: Connector, endpoint: Endpoint, *, limit_s: float) -> H2Connection:
    """Connect, and wait for the target's SETTINGS, all within `limit_s`.

    Raises NoConnectionError where there is no connection, or none that speaks HTTP/2; TargetRefusedError
    where no address may be connected to.
    """
    began_s = time.monotonic()
    opened = H2Connection(connector.connect(limit_s))
    try:
        opened.greet(max(began_s + limit_s - time.monotonic(), LEAST_S))
    except BaseException as error:
        opened.close()
        if isinstance(error, BrokenFramesError | OSError):
            text = _at_opening(error, secure=endpoint.context is not None)
            raise NoConnectionError(f"{endpoint.authority} {text}", exhausted=False) from None
        raise
    return opened


def _check_beginning(begun: bytes) -> None:
    """Tell in plain words what else speaks there. Raises BrokenFramesError."""
    if begun.startswith(b"HTTP/"):
        raise BrokenFramesError("speaks HTTP/1, not gRPC (HTTP/2): this is another port of the service")
    if begun[:1] in {b"\x15", b"\x16"} and begun[1:2] == b"\x03":
        raise BrokenFramesError("speaks TLS: write https://")
    if len(begun) == h2.HEAD_BYTES and (begun[3] != h2.SETTINGS or begun[5:] != bytes(4)):
        raise BrokenFramesError(f"speaks neither gRPC nor HTTP/2: it began with {begun!r}")


def _at_opening(error: Exception, *, secure: bool) -> str:
    text = words_of(error)
    if text.startswith(("is silent", "speaks")):
        return text
    hint = "" if secure else " If it speaks TLS, write https://"
    return f"ended at HTTP/2's opening bytes ({text}); {_WHICH_PORT}{hint}"
