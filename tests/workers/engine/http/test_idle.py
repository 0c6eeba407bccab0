"""Which connections are used again after a stream: those of a target that was seen to keep them."""

import threading
import time

import pytest

from workers.engine import idle
from workers.protocols.contract import Request

STREAMED = Request("POST", "/", b"{}", (), stream=True)
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nkeep-alive: timeout=5, max=100\r\n\r\n"
STREAM = HEAD + b"2\r\nhi\r\n0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def _slow_proof(monkeypatch):
    """A busy machine may take its time for three requests."""
    monkeypatch.setattr(idle, "PROOF_NS", 500_000_000)


def proof_passes() -> None:
    time.sleep(idle.PROOF_NS / 1e9)


def test_a_target_that_closes_after_its_streams_without_a_word_fails_no_request(scripted, client_of, send):
    may_close = threading.Event()

    def script(line):
        line.request()
        line.send(STREAM)
        assert may_close.wait(5)  # the client has its answer, and the end of the line is still to come

    with scripted(script) as server:
        client = client_of(server)
        first = [send(client, STREAMED) for _ in range(3)]
        assert len(server.lines) == 3, "none is used again before it has proved itself"
        may_close.set()
        assert server.over.wait(5)
        proof_passes()
        later = [send(client, STREAMED) for _ in range(3)]
        assert len(server.lines) == 6
    assert [one.error for one in first + later] == [""] * 6
    assert not any(one.reused for one in first + later)


def test_a_target_that_keeps_its_connections_is_believed_after_a_while(scripted, client_of, send, answer_all):
    with scripted(answer_all(STREAM)) as server:
        client = client_of(server)
        assert not send(client, STREAMED).reused
        proof_passes()
        assert [send(client, STREAMED).reused for _ in range(4)] == [True] * 4
        assert len(server.lines) == 1


def test_whole_answers_need_no_proof(scripted, client_of, send, answer_all):
    with scripted(answer_all(OK)) as server:
        client = client_of(server)
        assert [send(client).reused for _ in range(3)] == [False, True, True]


def test_a_believed_target_that_dies_once_is_believed_when_it_is_back(scripted, client_of, send):
    dies = threading.Event()

    def script(line):
        while line.request():
            line.send(STREAM)
            if dies.is_set():
                dies.clear()
                return

    with scripted(script) as server:
        client = client_of(server)
        send(client, STREAMED)
        proof_passes()
        assert send(client, STREAMED).reused
        dies.set()
        assert send(client, STREAMED).reused
        assert server.over.wait(5)
        proof_passes()
        assert [send(client, STREAMED).reused for _ in range(3)] == [False, True, True]
        assert len(server.lines) == 2
