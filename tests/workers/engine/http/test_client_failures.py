"""The client against servers that answer badly, late, in pieces, or not at all."""

import gc
import threading
import time

import gevent
import pytest

from workers.engine.endpoint import Endpoint
from workers.protocols.contract import Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
POST = Request("POST", "/v1/x?a=b", b'{"a": 1}', (("Content-Type", "application/json"),), stream=False)
STREAMED = Request("POST", "/s", b"{}", (), stream=True)


def test_a_server_that_never_answers_is_a_timeout_from_the_first_byte_sent(scripted, client_of, send):
    with scripted(lambda line: line.until_closed()) as server:
        exchange = send(client_of(server, 0.2))
    assert (exchange.error, exchange.text) == ("timeout", "no answer within 0.2 s")
    assert 0.2 <= (exchange.last_ns - exchange.sent_ns) / 1e9 < 1.5


@pytest.mark.parametrize(("answers", "error"), [(True, ""), (False, "timeout")])
def test_an_answer_that_came_while_the_engine_stood_still_is_no_timeout(
    scripted, client_of, send, answers, error
):
    def script(line):
        line.request()
        time.sleep(0.1)
        if answers:
            line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        line.until_closed()

    with scripted(script) as server:
        gevent.spawn_later(0.05, time.sleep, 0.6)
        exchange = send(client_of(server, 0.3))
    assert exchange.error == error


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_drip_does_not_extend_the_timeout(scripted, client_of, stream, send):
    def script(line):
        line.request()
        line.send(STREAM)
        while True:
            line.send(b"1\r\nx\r\n")
            time.sleep(0.01)

    with scripted(script) as server:
        exchange = send(client_of(server, 0.3), Request("POST", "/", b"{}", (), stream=stream))
    assert (exchange.error, exchange.text) == ("timeout", "the answer did not end within 0.3 s")
    assert 0.3 <= (exchange.last_ns - exchange.sent_ns) / 1e9 < 1.5
    assert exchange.status == 200
    assert exchange.pieces if stream else exchange.body


def test_an_endless_answer_ends_at_the_bound_and_lets_others_run(scripted, client_of, send):
    def script(line):
        line.request()
        line.send(STREAM)
        while True:
            line.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")

    ticks = []

    def tick():
        while True:
            ticks.append(time.monotonic())
            gevent.sleep(0.0005)  # never 0: a spinning greenlet would starve the server's thread

    with scripted(script) as server:
        ticking = gevent.spawn(tick)
        exchange = send(client_of(server, 20, max_body_bytes=32 * 1024 * 1024))
        ticking.kill()
    assert (exchange.error, exchange.text) == ("invalid", "not a valid HTTP answer: over 33554432 bytes")
    assert len(ticks) > 8


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "connection closed before an answer"),
        (b"HTTP/1.1 200 OK\r\nContent", "connection closed inside the answer's headers"),
        (OK[:-1], "connection closed before the answer's end"),
        (STREAM + b"5\r\nhel", "connection closed before the answer's end"),
    ],
)
def test_a_server_that_closes_too_early_is_a_reset_and_hears_it_once(
    scripted, client_of, data, text, send, answer_once
):
    with scripted(answer_once(data)) as server:
        exchange = send(client_of(server))
        assert len(server.requests) == 1
    assert (exchange.error, exchange.text) == ("reset", text)
    assert exchange.last_ns >= exchange.sent_ns > 0


def test_a_stream_that_ends_in_order_too_early_is_left_to_the_protocol(
    scripted, client_of, send, answer_once
):
    with scripted(answer_once(STREAM + b"5\r\nhello\r\n")) as server:
        exchange = send(client_of(server), STREAMED)
    assert (exchange.error, exchange.truncated) == ("", True)
    assert [piece for _, piece in exchange.pieces] == [b"hello"]


def test_a_stream_cut_by_a_reset_is_a_reset_that_keeps_what_came(scripted, client_of, send):
    seen = threading.Event()

    def script(line):
        line.request()
        line.send(STREAM + b"5\r\nhello\r\n")
        assert seen.wait(5)
        line.reset()

    with scripted(script) as server:
        sending = gevent.spawn(send, client_of(server), STREAMED)
        gevent.spawn_later(0.05, seen.set)
        exchange = sending.get(timeout=5)
    assert (exchange.error, exchange.text) == ("reset", "connection reset by peer before the answer's end")
    assert [piece for _, piece in exchange.pieces] == [b"hello"]


def test_a_request_that_dies_on_a_kept_connection_is_never_sent_again(scripted, client_of, send):
    def script(line):
        line.request()
        line.send(OK)
        line.request()

    with scripted(script) as server:
        client = client_of(server)
        send(client)
        exchange = send(client)
        assert len(server.requests) == 2
        assert len(server.lines) == 1
    assert exchange.error == "reset"
    assert exchange.text == "connection closed before an answer, on a kept connection"


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"])
def test_a_connection_that_died_while_idle_is_noticed_before_use(scripted, client_of, farewell, send):
    idle = threading.Event()

    def script(line):
        line.request()
        line.send(OK)
        if line.number == 0:
            assert idle.wait(5)
            line.send(farewell)
        else:
            line.until_closed()

    with scripted(script) as server:
        client = client_of(server)
        send(client)
        idle.set()
        assert server.over.wait(5)
        exchange = send(client)
        assert len(server.lines) == 2
    assert (exchange.error, exchange.reused) == ("", False)


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\na: " + b"y" * 600_000, STREAM + b"zz\r\n"]
)
def test_what_is_not_http_is_invalid(scripted, client_of, data, send, answer_once):
    with scripted(answer_once(data)) as server:
        exchange = send(client_of(server))
    assert exchange.error == "invalid"
    assert exchange.text.startswith("not a valid HTTP answer: ")


def test_a_compressed_answer_is_invalid_and_says_so(scripted, client_of, send, answer_all):
    with scripted(answer_all(OK.replace(b"X-A: b", b"Content-Encoding: gzip"))) as server:
        exchange = send(client_of(server))
    assert (exchange.error, exchange.status) == ("invalid", 200)
    assert exchange.text == "content-encoding gzip, though identity was asked for"


def test_failures_leave_nothing_for_the_cycle_collector(scripted, client_of, opened, deaf_port, send):
    def script(line):
        if b"/reset" in line.request():
            line.reset()
        else:
            line.until_closed()

    with scripted(script) as server:
        slow, fast = client_of(server, 0.3), client_of(server)
        refused = opened(Endpoint("127.0.0.1", deaf_port), 1.0)
        requests = [(slow, POST), (fast, Request("POST", "/reset", b"", (), stream=False)), (refused, POST)]
        for client, request in requests:
            send(client, request)
        gc.collect()
        gc.disable()
        try:
            outcomes = [send(client, request).error for client, request in requests * 5]
            left = gc.collect()
        finally:
            gc.enable()
    assert outcomes == ["timeout", "reset", "connect"] * 5
    assert left < 15
