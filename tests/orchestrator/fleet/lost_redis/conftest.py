"""A Redis of one's own with an append-only file, which can be killed, emptied and made to forget."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

STARTS_WITHIN_S = 15.0
TORN_BYTES = 7
"""Of a record that was being written when the power went."""


@dataclass
class Durable:
    """A server started by `redis_server`, at one address through all its lives: `url`, for `--broker`."""

    server: Any
    url: str
    program: str = ""
    admin: Any = None

    def __post_init__(self) -> None:
        self.program = str(Path(f"/proc/{self.server.process.pid}/exe").readlink())
        self.admin = redis.Redis.from_url(self.url, socket_timeout=5)

    def pause(self) -> None:
        self.server.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.server.resume()

    def kill(self) -> None:
        self.server.kill()

    def start(self) -> None:
        """Another life with what its files hold."""
        config = str(self.server.folder / "server.conf")
        argv = ["redis-server", config]
        self.server.process = subprocess.Popen(argv, executable=self.program, stdout=subprocess.DEVNULL)
        until_s = time.monotonic() + STARTS_WITHIN_S
        while True:
            with suppress(redis.RedisError):
                if self.admin.ping():
                    return
            assert time.monotonic() < until_s, "it did not come back"
            time.sleep(0.02)

    def size(self) -> int:
        """Bytes of the append-only file that is being written."""
        return self._file().stat().st_size

    def forget(self, since: int) -> None:
        """Lose all writes since the file had this size, in the middle of a record."""
        assert self.size() > since + TORN_BYTES
        os.truncate(self._file(), since + TORN_BYTES)

    def forget_from(self, word: bytes, *, after: bytes = b"") -> None:
        """Lose the first write in which a word stands (`after` another), and all that follow: it is torn."""
        written = self._file().read_bytes()
        os.truncate(self._file(), written.index(word, written.index(after)) + len(word) // 2)

    def lose_all(self) -> None:
        """Lose the files."""
        for path in self.server.folder.rglob("*.aof*"):
            path.unlink()
        for path in self.server.folder.rglob("*.manifest"):
            path.unlink()

    def _file(self) -> Path:
        return max(self.server.folder.rglob("*.aof"), key=lambda path: path.stat().st_mtime)


@pytest.fixture
def durable(redis_server: Callable[..., Any]) -> Callable[..., Durable]:
    """Starts one; lines are of its configuration."""

    def start(*lines: str, kind: str = "valkey") -> Durable:
        # with everysec a write is put off for up to 2 s where the disk is slow: a kill would lose it too
        own = ("requirepass secret", "appendonly yes", "appendfsync no")
        server = redis_server(*own, *lines, kind=kind)
        return Durable(server, server.url(":secret"))

    return start


@dataclass
class Relay:
    """A way to a port that can be cut without a word, or be made slow. `port`: its own.

    `cut_for`: pids of those for whom it is cut, whatever is true of the others.
    """

    target: int
    delay_s: float = 0.0
    cut: bool = False
    cut_for: tuple[int, ...] = ()
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def open(self) -> None:
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for one in (self.listener, *self.sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(near)
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self.sockets.append(far)
            port = near.getpeername()[1]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(*pair, port), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, port: int) -> None:
        """Half-open while it is cut: connections stand, connect even, and nothing comes through."""
        cut_for: tuple[int, ...] | None = None
        mine = False
        chunk = b"x"
        with suppress(OSError):
            while chunk:
                chunk = source.recv(65536)
                while True:
                    if cut_for is not self.cut_for:
                        cut_for = self.cut_for
                        mine = (mine and bool(cut_for)) or any(_holds(pid, port) for pid in cut_for)
                    if not (self.cut or mine):
                        break
                    time.sleep(0.02)
                if self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(chunk)  # the end of a connection does not come through a cut either
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _holds(pid: int, port: int) -> bool:
    """Whether this end of a connection is that process's."""
    with suppress(psutil.Error):
        return any(one.laddr.port == port for one in psutil.Process(pid).net_connections("tcp4"))
    return False


@pytest.fixture
def relay() -> Iterator[Callable[[int], Relay]]:
    """Opens a way to a port of this host."""
    made: list[Relay] = []

    def start(port: int) -> Relay:
        made.append(Relay(port))
        made[-1].open()
        return made[-1]

    yield start
    for one in made:
        one.cut, one.cut_for = False, ()
        one.close()
