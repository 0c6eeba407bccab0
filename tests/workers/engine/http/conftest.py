"""A real server whose every byte a test decides, in threads of the test's process."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from workers.engine.allow import AllowList
from workers.engine.client import Client
from workers.engine.endpoint import Endpoint, endpoint_of
from workers.protocols.contract import Request

WAIT_S = 10
"""No script and no thread of a server lasts longer than this."""


@dataclass
class Line:
    """One accepted connection, as the script of a test sees it."""

    socket: socket.socket
    number: int
    server: "Scripted"

    def request(self) -> bytes:
        """Read one whole request; b"" at the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := self.socket.recv(65536)):
                return b""
            data += more
        head, _, begun = data.partition(b"\r\n\r\n")
        body = bytearray(begun)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        while len(body) < length:
            if not (more := self.socket.recv(65536)):
                return b""
            body += more
        whole = head + b"\r\n\r\n" + body
        self.server.requests.append(whole)
        return whole

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until_closed(self) -> bytes:
        """Wait for the other side's end; what it still sent."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while more := self.socket.recv(65536):
                data += more
        return data

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


@dataclass
class Scripted:
    """`requests`: as received, in order; `over`: set when a script has ended; `lines`: connections so far."""

    host: str
    port: int
    requests: list[bytes] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def _run(line: Line, script: Callable[[Line], None], context) -> None:
    try:
        line.socket.settimeout(WAIT_S)
        if context is not None:
            line.socket = context.wrap_socket(line.socket, server_side=True)
        script(line)
    except OSError:
        pass  # the client went away, or refused our certificate
    finally:
        line.socket.close()
        line.server.over.set()


def _accept(listener: socket.socket, server: Scripted, threads: list[threading.Thread], run) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        line = Line(sock, len(server.lines), server)
        server.lines.append(line)
        threads.append(threading.Thread(target=run, args=(line,), daemon=True))
        threads[-1].start()


@contextmanager
def _serving(script: Callable[[Line], None], *, host: str = "127.0.0.1", context=None) -> Iterator[Scripted]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=64)
    server = Scripted(host, listener.getsockname()[1])
    threads: list[threading.Thread] = []
    arguments = (listener, server, threads, lambda line: _run(line, script, context))
    acceptor = threading.Thread(target=_accept, args=arguments, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(WAIT_S)
        listener.close()
        for line in server.lines:
            with contextlib.suppress(OSError):
                line.socket.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(WAIT_S)


@pytest.fixture
def scripted():
    """`with scripted(script) as server`: each connection runs `script(line)` in a thread, then is closed."""
    return _serving


@pytest.fixture
def deaf_port():
    """A port of 127.0.0.1 that nobody listens on, held so that nobody else can."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def opened():
    """`opened(endpoint, timeout_s)` is a Client that closes with the test."""
    clients: list[Client] = []

    def open_client(endpoint: Endpoint, timeout_s: float = 5.0, **options) -> Client:
        clients.append(Client(endpoint, timeout_s, **options))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def client_of(opened):
    """`client_of(server, timeout_s)` is a Client of a scripted server."""
    return lambda server, timeout_s=5.0, **options: opened(
        endpoint_of(server.url, allow=AllowList()), timeout_s, **options
    )


@pytest.fixture
def send():
    """`send(client)` sends a small POST, authorised, and returns the exchange."""
    headers = (("Content-Type", "application/json"),)
    post = Request("POST", "/v1/x?a=b", b'{"a": 1}', headers, stream=False)
    return lambda client, request=post, block=b"host: h\r\n": client.send(
        request, block, authorised=lambda: True
    )


def _all(data: bytes) -> Callable[[Line], None]:
    def script(line: Line) -> None:
        while line.request():
            line.send(data)

    return script


def _once(data: bytes) -> Callable[[Line], None]:
    def script(line: Line) -> None:
        line.request()
        line.send(data)

    return script


@pytest.fixture
def answer_all():
    """`answer_all(data)` is a script that gives these bytes to every request."""
    return _all


@pytest.fixture
def answer_once():
    """`answer_once(data)` answers the first request of a connection, then closes it."""
    return _once
