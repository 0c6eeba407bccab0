"""Targets that see from outside what clients do: a raw server, and the demo target with its own log."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from workers.chaos.aim import Aim
from workers.chaos.clients.tally import read

WITHIN_S = 20.0
TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


@dataclass
class Visitor:
    """One connection, as the server had it: what came, when, and how it ended (fin, rst; "" while open)."""

    came: bytearray = field(default_factory=bytearray)
    pieces: list[tuple[float, int]] = field(default_factory=list)
    sent_bytes: int = 0
    end: str = ""
    begun_s: float = field(default_factory=time.monotonic)
    ended_s: float = 0.0

    @property
    def body(self) -> bytes:
        return bytes(self.came).partition(b"\r\n\r\n")[2]

    def header(self, name: str) -> str:
        for line in bytes(self.came).partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name:
                return value
        return ""

    @property
    def whole(self) -> bool:
        _, blank, body = bytes(self.came).partition(b"\r\n\r\n")
        return bool(blank) and len(body) >= int(self.header("content-length") or 0)


Behaviour = Callable[["Witness", socket.socket, Visitor], None]


class Witness:
    """A server on loopback, a thread a connection."""

    def __init__(
        self, behave: Behaviour, *, send_buffer_bytes: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        self._behave, self._context = behave, context
        self._listener = socket.socket()
        if send_buffer_bytes:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.visitors: list[Visitor] = []
        self._sockets: list[socket.socket] = []
        self._closing = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def open(self) -> int:
        """Connections that have not ended."""
        return sum(not one.end for one in self.visitors)

    def read(self, connection: socket.socket, visitor: Visitor) -> bool:
        """Take what comes next; False at the end."""
        try:
            data = connection.recv(65536)
        except OSError:
            visitor.end = "rst"
            return False
        if not data:
            visitor.end = "fin"
            return False
        visitor.came += data
        visitor.pieces.append((time.monotonic(), len(data)))
        return True

    def close(self) -> None:
        self._closing = True
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(WITHIN_S)

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            visitor = Visitor()
            self.visitors.append(visitor)
            threading.Thread(target=self._serve, args=(connection, visitor), daemon=True).start()

    def _serve(self, connection: socket.socket, visitor: Visitor) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._behave(self, connection, visitor)
        except OSError:
            visitor.end = visitor.end or "rst"
        visitor.end = visitor.end or "served"
        visitor.ended_s = time.monotonic()
        connection.close()


def listen(witness: Witness, connection: socket.socket, visitor: Visitor) -> None:
    """Read and say nothing."""
    while witness.read(connection, visitor):
        pass


def stream(witness: Witness, connection: socket.socket, visitor: Visitor) -> None:
    """Answer with tokens, one each 10 ms, without end."""
    while not visitor.whole:
        if not witness.read(connection, visitor):
            return
    connection.sendall(STREAM)
    while True:
        connection.sendall(TOKEN)
        visitor.sent_bytes += len(TOKEN)
        time.sleep(0.01)


def flood(witness: Witness, connection: socket.socket, visitor: Visitor) -> None:
    """Answer with as many bytes as are taken."""
    while not visitor.whole:
        if not witness.read(connection, visitor):
            return
    connection.sendall(STREAM)
    while True:
        visitor.sent_bytes += connection.send(TOKEN * 100)


def replies(status: int, *, closes_after_bytes: int = 0) -> Behaviour:
    """Answer each request with that status; or once so many bytes have come, whatever they are."""

    def behave(witness: Witness, connection: socket.socket, visitor: Visitor) -> None:
        while not (visitor.whole or 0 < closes_after_bytes <= len(visitor.came)):
            if not witness.read(connection, visitor):
                return
        connection.sendall(b"HTTP/1.1 %d Said\r\ncontent-length: 2\r\n\r\n{}" % status)

    return behave


BEHAVIOURS: dict[str, Behaviour] = {"listen": listen, "stream": stream, "flood": flood}


@pytest.fixture
def witness() -> Iterator[Callable[..., Witness]]:
    """Start a raw server that behaves so: listen, stream, flood, or a status to answer with."""
    started: list[Witness] = []

    def start(behaves: str | int, *, closes_after_bytes: int = 0, **given: Any) -> Witness:
        behave = (
            BEHAVIOURS[behaves]
            if isinstance(behaves, str)
            else replies(behaves, closes_after_bytes=closes_after_bytes)
        )
        started.append(Witness(behave, **given))
        return started[-1]

    yield start
    for one in started:
        one.close()


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo target and its own log."""

    url: str
    log: Path

    def lines(self, *events: str) -> list[dict[str, Any]]:
        text = self.log.read_text() if self.log.exists() else ""
        found = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [one for one in found if one["event"] in events]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start a demo target."""
    processes: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> Demo:
        log = tmp_path / "target.jsonl"
        command = [sys.executable, "-m", "workers.demo_target", "--log", str(log), *flags]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert processes[-1].stdout is not None
        return Demo(processes[-1].stdout.readline().split()[-1], log)

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=WITHIN_S)


@pytest.fixture
def counted() -> Callable[[Any], dict[str, int]]:
    """What the clients of a running agent have counted so far: only to know when to end them."""

    def look(agent: Any) -> dict[str, int]:
        found = list(agent.ledger.glob("*/tally"))
        return read(found[0]) if found else {}

    return look


@pytest.fixture
def make_aim() -> Callable[..., Aim]:
    """Make an aim at a URL, by default a chat."""

    def make(url: str, *, protocol: str = "openai-chat", **changes: Any) -> Aim:
        options: dict[str, Any] = {"url": url}
        if protocol != "json-http":
            options["model"] = "demo"
        given: dict[str, Any] = {"name": "chat", "campaign": "trial", "activity": "storm", "timeout_s": 10.0}
        return Aim(protocol=protocol, url=url, options=options, **{**given, **changes})

    return make
