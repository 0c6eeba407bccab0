"""`shakeout run` against targets that are not there, say nothing, or answer wrongly: each by its outcome."""

import contextlib
import gzip
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest

FAIL, INVALID = 1, 4
MUTE = {"mute", "silence", "slow-head"}
"""Targets that a client has to give up; the others may be late without being a timeout."""


@pytest.fixture
def several() -> Callable[..., str]:
    """A phase of one load a target, all on loopback; each is named like its target."""

    def write(ports: dict[str, int], *, place_within: str = "12s") -> str:
        targets = "".join(
            f'  {name}: {{protocol: openai-chat, model: demo, url: "http://127.0.0.1:{port}",'
            f" timeout: {1 if name in MUTE else 30}s}}\n"
            for name, port in ports.items()
        )
        loads = "".join(
            f"      - {{name: {name}, kind: load, target: {name}, shards: 1, duration: 2s,"
            f" arrivals: {{process: constant, rate: 20/s}}, slos: [success_rate >= 90%],"
            f" data: {{synthetic: {{input_tokens: 8, output_tokens: 4}}}}}}\n"
            for name in ports
        )
        return (
            f"campaign: several\nseed: 1\nplace_within: {place_within}\n"
            "validity: {lag_p99: 2s, start_skew: 10s}\n"
            f"targets:\n{targets}phases:\n  - name: peak\n    activities:\n{loads}"
        )

    return write


class Answering(socketserver.BaseRequestHandler):
    """Says yes to whoever asks for readiness; does with a POST what its server's `does` says."""

    def handle(self) -> None:
        with self.request.makefile("rb") as lines:
            while line := lines.readline():
                length = 0
                while (header := lines.readline()).strip():
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                lines.read(length)
                if line.startswith(b"GET"):
                    self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                elif not self.server.does(self.request):  # type: ignore[attr-defined]
                    return


def html(connection: socket.socket) -> bool:
    page = b"<html><body>It works!</body></html>"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(page)}\r\n\r\n"
    connection.sendall(head.encode() + page)
    return True


def chunks(connection: socket.socket) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
    return False


def bomb(connection: socket.socket) -> bool:
    body = gzip.compress(b"\0" * 1_000_000)
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return True


def circle(connection: socket.socket) -> bool:
    host, port = connection.getsockname()
    head = f"HTTP/1.1 307 Again\r\nlocation: http://{host}:{port}/v1\r\ncontent-length: 0\r\n\r\n"
    connection.sendall(head.encode())
    return True


def slow_head(connection: socket.socket) -> bool:
    with contextlib.suppress(OSError):  # the client gives up
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"x-more: y\r\n")
            time.sleep(0.2)
    return False


def silence(connection: socket.socket) -> bool:
    connection.recv(1)  # until the client gives up
    return False


def reset(connection: socket.socket) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return False


@pytest.fixture
def serving() -> Iterator[Callable[..., int]]:
    """Starts a target that is ready and then answers every request as told; its port."""
    started: list[socketserver.ThreadingTCPServer] = []

    def start(does: Callable[[socket.socket], bool]) -> int:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering)
        server.daemon_threads, server.block_on_close = True, False
        server.does = does  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        started.append(server)
        return int(server.server_address[1])

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_targets_that_are_not_there_or_say_nothing_make_the_run_invalid_and_are_named(run, several) -> None:
    with socket.socket() as bound, socket.create_server(("127.0.0.1", 0)) as silent:
        bound.bind(("127.0.0.1", 0))  # and not listening: who connects is refused
        refused, mute = bound.getsockname()[1], silent.getsockname()[1]
        one = run(several({"refused": refused, "mute": mute}))
        assert one.wait() == INVALID, one.output
    (first, *_) = one.report()["reasons"]
    assert "phase peak could not begin within 12 s" in first
    said = first.replace("local-2", "local-1")
    assert f"refused on worker local-1, target refused: connection refused at 127.0.0.1:{refused}" in said
    assert "mute on worker local-1, target mute: " in said
    assert "connected, but" in first
    assert first in one.output


def test_targets_that_answer_wrongly_fail_the_campaign_each_with_its_outcome(run, several, serving) -> None:
    wrong = {
        "page": (html, "invalid"), "chunks": (chunks, "invalid"), "bomb": (bomb, "invalid"),
        "silence": (silence, "timeout"), "slow-head": (slow_head, "timeout"), "reset": (reset, "reset"),
        "circle": (circle, "http_307"),
    }  # fmt: skip
    ports = {name: serving(does) for name, (does, _) in wrong.items()}
    one = run(several(ports, place_within="60s"))
    assert one.wait() == FAIL, one.output
    report = one.report()
    assert report["verdict"] == "fail"
    for name, (_, outcome) in wrong.items():
        activity = report["activities"][name]
        counts = activity["requests"]
        assert activity["verdict"] == "fail"
        assert counts["by_error"] == {outcome: counts["scheduled"]}
        assert counts["failed"] == counts["sent"] == counts["scheduled"] > 0
