"""An open connection: what comes in is stamped in the event loop itself and given to whoever asked for it.

The loop watches a connection from its first to its last moment, so that neither a request nor an idle hour
costs a call to arm it, and a target that closes an idle connection is noticed when it does.
"""

import contextlib
import time
from typing import Any, Final, Protocol

from gevent import Greenlet, get_hub, getcurrent, monkey, ssl

RECV_BYTES: Final = 64 * 1024
_READ: Final = 1
_WRITE: Final = 2
LATER: Final = (ssl.SSLWantWriteError, BlockingIOError, ssl.SSLWantReadError)
"""Nothing there yet, or no room; of TLS, records that carry no data."""

_poll = monkey.get_original("select", "poll")  # gevent's own waits in the loop, this one asks the kernel
monotonic_ns = time.monotonic_ns


class Taker(Protocol):
    """Whoever waits for an answer; called in the event loop, so it may not block."""

    def take(self, data: bytes, now_ns: int) -> None:
        """Bytes that came, stamped; none is the connection's end."""

    def broke(self, error: OSError, now_ns: int) -> None:
        """The connection failed."""


class Writer(Protocol):
    """Whose bytes are written. `waiter`: the greenlet that writes, to be woken when it `is_over`."""

    waiter: Greenlet | None
    is_over: bool


class Connection:
    """An open socket. `idle_ns`: since when it waits (monotonic); `used`: it carried a request before.

    `streamed`: its last answer was a stream. `taker`: gets what comes in; while there is none, whatever
    comes makes the connection stale. `write(data)` takes what the kernel has room for and says how much; it
    may raise BlockingIOError.
    """

    __slots__ = (
        "_asks", "_io", "_read", "_secure", "_stale", "idle_ns", "socket", "streamed", "taker", "used",
        "write",
    )  # fmt: skip

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.idle_ns = 0
        self.used = False
        self.streamed = False
        self.taker: Taker | None = None
        self._stale = False
        self._secure = isinstance(sock, ssl.SSLSocket)
        if self._secure:
            sock.settimeout(0.0)
        plain = sock if self._secure else sock._sock  # noqa: SLF001  # gevent's layers cost more than the call
        self._read = plain.recv
        self.write = plain.send
        asks = _poll()
        asks.register(sock.fileno(), _READ)
        self._asks = asks.poll
        self._io = get_hub().loop.io(sock.fileno(), _READ)
        self._io.start(self._ready)

    def is_stale(self) -> bool:
        """Whether the server closed it or said something unasked while it was idle; one system call."""
        if not self._stale and self._asks(0):
            self._unasked()
        return self._stale

    def look(self) -> None:
        """Take what came but was not looked at yet; the taker hears of it now, not a turn later."""
        if not self._stale and self._asks(0):
            self._ready()

    def write_rest(self, rest: memoryview, *, whose: Writer) -> bool:
        """Write what the kernel had no room for, until `whose` is over; whether all of it was taken.

        Others run meanwhile, and what comes in is taken: a target may answer before it has read all, and
        never read on. Raises OSError.
        """
        hub, whose.waiter = get_hub(), getcurrent()
        room = hub.loop.io(self.socket.fileno(), _WRITE)
        try:
            room.start(whose.waiter.switch)
            while rest and not whose.is_over:
                hub.switch()
                with contextlib.suppress(*LATER):
                    rest = rest[self.write(rest) :]
        finally:
            whose.waiter = None
            room.stop()
            room.close()
        return not rest

    def close(self) -> None:
        """Close at once; never raises."""
        self.taker = None
        self._io.stop()
        self._io.close()
        with contextlib.suppress(OSError):
            self.socket.close()

    def _ready(self) -> None:
        taker = self.taker
        if taker is None:
            self._unasked()
            return
        try:
            data = self._read(RECV_BYTES)
        except LATER:
            return
        except OSError as error:
            self._end()
            taker.broke(error, monotonic_ns())
            return
        now_ns = monotonic_ns()
        if not data:
            self._end()
        taker.take(data, now_ns)
        if self._secure and self.taker is not None and self.socket.pending():
            self._ready()  # decrypted already: no further event would tell of it

    def _unasked(self) -> None:
        """Bytes or an end that nobody waits for; a session ticket of TLS is swallowed: no sign of death."""
        if self._secure:
            try:
                self._read(1)
            except LATER:
                return
            except OSError:
                pass
        self._end()

    def _end(self) -> None:
        """Nothing can come any more; without this the loop would call again and again."""
        self._stale = True
        self._io.stop()
