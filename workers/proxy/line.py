"""One direction of one connection: bytes go on at once, or wait for their time; in order, none is lost."""

import asyncio
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from workers.proxy.hold import Hold

MOST_WAITING_BYTES = 512 * 1024
"""Of one direction; then its source is read no further, as a full link would have it."""
MOST_HELD_BYTES = 256 * 1024 * 1024
"""Of all connections together: then only one chunk of each waits."""
_LEAST_PIECE_BYTES = 64
_PIECES_PER_S = 100.0  # a thin link hands on its bytes in so many pieces a second


class Held:
    """How many bytes wait in a whole proxy."""

    def __init__(self) -> None:
        self.bytes = 0


class Line:
    """Sends to one socket. `put` hands bytes over; without a hold, and with nothing waiting, they go at once.

    The task `run` sends what waits. Both raise OSError where the other side is gone.
    """

    def __init__(self, sink: socket.socket, way: str, held: Held) -> None:
        self._sink, self._way, self._held = sink, way, held
        self._waiting: deque[tuple[float, bytes, Hold | None]] = deque()
        self._bytes = 0
        self._busy = self._sending = False
        self._next_s = 0.0  # until then the last piece keeps its distance
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being sent."""
        return not (self._waiting or self._sending or self._busy)

    async def put(self, data: bytes, hold: Hold | None, delay_s: float = 0.0) -> None:
        """Send these bytes; return once there is room for more. Empty: the end, after all that waits."""
        if hold is None and self.idle:
            self._busy = True  # answers of our own may come in between
            try:
                await self._send_now(data)
            finally:
                self._busy = False
                self._room.set()
            return
        self._waiting.append((self._loop.time() + delay_s, data, hold))
        self._bytes += len(data)
        self._held.bytes += len(data)
        self._wake.set()
        while self._bytes > MOST_WAITING_BYTES or (self._bytes and self._held.bytes > MOST_HELD_BYTES):
            self._room.clear()
            await self._room.wait()

    async def drained(self) -> None:
        """Return once nothing waits; who cuts the line off cancels this."""
        while not self.idle:
            self._room.clear()
            await self._room.wait()

    def release(self) -> None:
        """A hold is over: what waits on its account waits no longer."""
        self._wake.set()

    def drop(self) -> None:
        """Forget what waits; the connection is cut."""
        self._held.bytes -= self._bytes
        self._bytes = 0
        self._waiting.clear()

    async def run(self) -> None:
        """Send what waits, each at its time."""
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            due_s, data, hold = self._waiting[0]
            await self._until(due_s, hold)
            self._waiting.popleft()
            self._sending = True
            try:
                await self._send(data, hold)
            finally:
                self._sending = False
            self._bytes -= len(data)
            self._held.bytes -= len(data)
            self._room.set()

    async def _send(self, data: bytes, hold: Hold | None) -> None:
        """In pieces, at the pace of a thin link; all that is left at once when the hold is over."""
        if hold is None or not data or not hold.goes(self._way):
            await self._send_now(data)
            return
        sent = 0
        for piece in _pieces(data, hold):
            if hold.over.is_set():
                break
            await self._pace(len(piece), hold)
            await self._until(self._next_s, hold)
            await self._send_now(piece)
            sent += len(piece)
            self._next_s = self._loop.time() + hold.effect.slice_gap_s
        if sent < len(data):
            await self._send_now(data[sent:])

    async def _send_now(self, data: bytes) -> None:
        """Send, or end this direction where there is nothing."""
        async with self._turn:
            if data:
                await self._loop.sock_sendall(self._sink, data)
            else:
                with suppress(OSError):  # the other side is gone already
                    self._sink.shutdown(socket.SHUT_WR)

    async def _pace(self, size: int, hold: Hold) -> None:
        """Wait until the link has carried so many bytes more."""
        rate = hold.effect.rate_bytes_per_s
        if not rate:
            return
        begins_s = max(self._loop.time(), hold.free_s.get(self._way, 0.0))
        hold.free_s[self._way] = begins_s + size / rate
        await self._until(begins_s + size / rate, hold)

    async def _until(self, due_s: float, hold: Hold | None) -> None:
        """Wait for a time of the loop's clock, but no longer than the hold is in force."""
        while hold is not None and not hold.over.is_set() and (rest_s := due_s - self._loop.time()) > 0:
            self._wake.clear()
            timer = self._loop.call_later(rest_s, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()


def _pieces(data: bytes, hold: Hold) -> Iterator[bytes]:
    effect = hold.effect
    size = effect.slice_bytes or len(data)
    if effect.rate_bytes_per_s:
        size = min(size, max(_LEAST_PIECE_BYTES, int(effect.rate_bytes_per_s / _PIECES_PER_S)))
    for place in range(0, len(data), size):
        yield data[place : place + size]
