"""The two pipes to the worker: orders in, words out. Neither ever blocks the load.

Needs gevent. Orders come as frames on one descriptor, words leave on another (workers/engine/wire.py).
"""

import os
from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event
from gevent.os import make_nonblocking, nb_read, nb_write

from workers.engine import wire

MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Words that wait for a worker to read; beyond it snapshots stay in the recorder, where they merge."""
READ_BYTES = 64 * 1024


class Words:
    """The way out; `say` queues and returns at once."""

    __slots__ = ("_bytes", "_fd", "_frames", "_idle", "_wake")

    def __init__(self, fd: int) -> None:
        make_nonblocking(fd)
        self._fd = fd
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._wake = Event()
        self._idle = Event()
        self._idle.set()
        gevent.spawn(self._run)

    def say(self, word: wire.FromEngine) -> None:
        """Queue one message."""
        frame = wire.frame(word)
        self._frames.append(frame)
        self._bytes += len(frame)
        self._idle.clear()
        self._wake.set()

    def has_room(self) -> bool:
        """Whether another snapshot fits; where not, leave its deltas where they are."""
        return self._bytes < MAX_WAITING_BYTES

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written; False where the worker did not read it in time."""
        return bool(self._idle.wait(timeout_s))

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._frames:
                rest = memoryview(self._frames[0])
                while rest:
                    try:
                        rest = rest[nb_write(self._fd, rest) :]
                    except BrokenPipeError:
                        os._exit(0)  # the worker is gone: silence is all that is left to do
                self._bytes -= len(self._frames.popleft())
            self._idle.set()


def read_orders(fd: int, take: Callable[[wire.ToEngine], None]) -> None:
    """Hand each order to `take` until the pipe ends, then leave the process: nobody is in charge."""
    make_nonblocking(fd)
    buffer = bytearray()
    while True:
        piece = nb_read(fd, READ_BYTES)
        if not piece:
            os._exit(0)
        buffer += piece
        while len(buffer) >= wire.HEADER.size:
            (length,) = wire.HEADER.unpack_from(buffer)
            if length > wire.MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes on the order pipe; it is broken")
            end = wire.HEADER.size + length
            if len(buffer) < end:
                break
            take(wire.decode_order(bytes(buffer[wire.HEADER.size : end])))
            del buffer[:end]
