"""A real gRPC server whose every frame a test decides, on an HTTP/2 implementation that is not ours."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from h2.settings import SettingCodes, Settings

from workers.engine.allow import AllowList
from workers.engine.endpoint import endpoint_of
from workers.engine.grpc_client import GrpcClient
from workers.protocols.contract import Request

WAIT_S = 10
"""No script and no thread of a server lasts longer than this."""
HEADS = [(":status", "200"), ("content-type", "application/grpc")]


@dataclass
class Heard:
    """One call as the server received it; `message` is without gRPC's prefix."""

    stream: int
    headers: dict[str, str]
    message: bytes


@dataclass
class Peer:
    """One accepted connection, as the script of a test sees it; `settings` are told at its beginning."""

    socket: socket.socket
    server: "Served"
    wire: h2.connection.H2Connection = field(init=False)
    events: list[object] = field(default_factory=list)
    _bodies: dict[int, bytes] = field(default_factory=dict)
    _heads: dict[int, dict[str, str]] = field(default_factory=dict)

    def begin(self, **settings: int) -> "Peer":
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.wire = h2.connection.H2Connection(config)
        if settings:
            told = {getattr(SettingCodes, name): value for name, value in settings.items()}
            self.wire.local_settings = Settings(client=False, initial_values=told)
        self.wire.initiate_connection()
        self.flush()
        return self

    def flush(self) -> None:
        if data := self.wire.data_to_send():
            self.socket.sendall(data)

    def read(self) -> list[object]:
        """Events of what came next; [] at the end of the connection."""
        data = self.socket.recv(65536)
        events = list(self.wire.receive_data(data)) if data else []
        self.events += events
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                self._bodies[event.stream_id] = self._bodies.get(event.stream_id, b"") + event.data
                self.wire.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.RequestReceived):
                self._heads[event.stream_id] = dict(event.headers)
        self.flush()
        return events

    def call(self) -> Heard | None:
        """Wait for one whole call; None at the end of the connection."""
        while events := self.read() or None:
            for event in events:
                if isinstance(event, h2.events.StreamEnded):
                    at = event.stream_id
                    body = self._bodies.pop(at, b"")
                    assert body[:5] == struct.pack(">BI", 0, len(body) - 5)
                    heard = Heard(at, self._heads.pop(at), body[5:])
                    self.server.calls.append(heard)
                    return heard
        return None

    def answer(
        self,
        heard: Heard,
        message: bytes | None = b"",
        *,
        status: int = 0,
        words: str = "",
        more=(),
        heads=HEADS,
    ) -> None:
        """Headers, one message unless it is None, and trailers."""
        self.wire.send_headers(heard.stream, heads)
        if message is not None:
            self.data(heard, struct.pack(">BI", 0, len(message)) + message)
        trailers = [("grpc-status", str(status)), ("grpc-message", words), *more]
        self.wire.send_headers(heard.stream, trailers, end_stream=True)
        self.flush()

    def data(self, heard: Heard, data: bytes, *, end: bool = False) -> None:
        """DATA frames, waiting for room where there is none."""
        while data:
            size = min(
                len(data),
                self.wire.local_flow_control_window(heard.stream),
                self.wire.max_outbound_frame_size,
            )
            self.wire.send_data(heard.stream, data[:size], end_stream=end and size == len(data))
            data = data[size:]
            self.flush()

    def until_closed(self) -> bytes:
        """Wait for the other side's end; what it still sent."""
        data = b""
        with contextlib.suppress(OSError):
            while more := self.socket.recv(65536):
                data += more
        return data


@dataclass
class Served:
    """`calls`: as received, in order; `peers`: connections so far."""

    port: int
    scheme: str
    calls: list[Heard] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"


def _run(peer: Peer, script: Callable[[Peer], None], context) -> None:
    gone = (OSError, h2.exceptions.ProtocolError)  # the client went away, or spoke something else
    with contextlib.suppress(*gone), peer.socket:
        peer.socket.settimeout(WAIT_S)
        if context is not None:
            peer.socket = context.wrap_socket(peer.socket, server_side=True)
        script(peer)
    peer.socket.close()


def _accept(listener: socket.socket, server: Served, threads: list[threading.Thread], run) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        peer = Peer(sock, server)
        server.peers.append(peer)
        threads.append(threading.Thread(target=run, args=(peer,), daemon=True))
        threads[-1].start()


@contextmanager
def _serving(script: Callable[[Peer], None], *, context=None) -> Iterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = Served(listener.getsockname()[1], "https" if context else "http")
    threads: list[threading.Thread] = []
    arguments = (listener, server, threads, lambda peer: _run(peer, script, context))
    acceptor = threading.Thread(target=_accept, args=arguments, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(WAIT_S)
        listener.close()
        for peer in server.peers:
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(WAIT_S)


@pytest.fixture
def served():
    """`with served(script) as server`: each connection runs `script(peer)` in a thread, then is closed."""
    return _serving


def _echo(peer: Peer) -> None:
    peer.begin()
    while heard := peer.call():
        peer.answer(heard, heard.message)


@pytest.fixture
def echo():
    """A script that answers each call with its own message."""
    return _echo


@pytest.fixture
def client_of():
    """`client_of(server, timeout_s)` is a client of a served server; it closes with the test."""
    clients: list[GrpcClient] = []

    def open_client(server: Served, timeout_s: float = 5.0, *, tls=None, files=None, **options) -> GrpcClient:
        endpoint = endpoint_of(server.url, allow=AllowList(), tls=tls, files=files)
        clients.append(GrpcClient(endpoint, timeout_s, **options))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def send():
    """`send(client, message)` makes a call, authorised, and returns the exchange."""

    def call(client: GrpcClient, message: bytes = b"hello", block: bytes = b"host: h\r\n"):
        request = Request("POST", "/a.B/C", message, (), stream=False)
        return client.send(request, block, authorised=lambda: True)

    return call
