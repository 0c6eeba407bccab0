"""The client against servers that answer in order: what it sends, keeps and stamps."""

import itertools
import threading
import time

import gevent
import pytest

from workers.contract.errors import EngineError, TargetRefusedError
from workers.engine.allow import AllowList
from workers.engine.endpoint import Endpoint, endpoint_of, header_block
from workers.protocols.contract import Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
POST = Request("POST", "/v1/x?a=b", b'{"a": 1}', (("Content-Type", "application/json"),), stream=False)
STREAMED = Request("POST", "/s", b"{}", (), stream=True)


def test_a_request_goes_out_once_with_every_line_once(scripted, client_of, send, answer_all):
    with scripted(answer_all(OK)) as server:
        endpoint = endpoint_of(server.url, allow=AllowList())
        block = header_block(endpoint, {"Authorization": "Bearer x"}) + b"x-shakeout-id: a/1/1\r\n"
        send(client_of(server), block=block)
        assert server.requests == [
            b"POST /v1/x?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: shakeout\r\n" % server.port
            + b"authorization: Bearer x\r\naccept-encoding: identity\r\nx-shakeout-id: a/1/1\r\n"
            + b'content-type: application/json\r\ncontent-length: 8\r\n\r\n{"a": 1}'
        ]


def test_a_header_of_the_campaign_wins_over_the_protocols(scripted, client_of, send, answer_all):
    with scripted(answer_all(OK)) as server:
        send(client_of(server), block=b"host: h\r\ncontent-type: text/x\r\n")
        assert server.requests[0].lower().count(b"content-type") == 1
        assert b"content-type: text/x\r\n" in server.requests[0]


@pytest.mark.parametrize(("method", "line"), [("GET", False), ("POST", True)])
def test_an_empty_body_has_a_length_only_where_a_body_belongs(
    scripted, client_of, method, line, send, answer_all
):
    with scripted(answer_all(OK)) as server:
        send(client_of(server), Request(method, "/a b\r\nc", b"", (), stream=False))
        assert (b"content-length: 0\r\n" in server.requests[0]) == line
        assert server.requests[0].startswith(method.encode() + b" /a%20b%0D%0Ac HTTP/1.1\r\n")


def test_an_answer_is_taken_whole_and_stamped_in_order(scripted, client_of, send, answer_all):
    with scripted(answer_all(OK)) as server:
        before_ns = time.monotonic_ns()
        exchange = send(client_of(server))
        after_ns = time.monotonic_ns()
    assert (exchange.error, exchange.status, exchange.body) == ("", 200, b"abc")
    assert exchange.headers == [("content-length", "3"), ("x-a", "b")]
    assert exchange.connect_ns > 0
    assert before_ns + exchange.connect_ns <= exchange.sent_ns <= exchange.last_ns <= after_ns


def test_a_kept_connection_is_used_again_and_costs_no_connect(scripted, client_of, send, answer_all):
    with scripted(answer_all(OK)) as server:
        client = client_of(server)
        exchanges = [send(client) for _ in range(5)]
        assert len(server.lines) == 1
    assert exchanges[0].connect_ns > 0
    assert [(other.connect_ns, other.reused) for other in exchanges[1:]] == [(0, True)] * 4


def test_each_request_in_flight_has_its_own_connection_and_the_last_used_comes_first(
    scripted, client_of, send
):
    together = threading.Barrier(3)

    def script(line):
        while request := line.request():
            if b"/v1/x" in request:
                together.wait(5)
            line.send(OK)

    with scripted(script) as server:
        client = client_of(server)
        gevent.joinall([gevent.spawn(send, client) for _ in range(3)], raise_error=True)
        assert len(server.lines) == 3
        for _ in range(4):
            assert send(client, Request("GET", "/one", b"", (), stream=False)).reused
        assert len(server.lines) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        OK + b"surplus",
    ],
)
def test_a_connection_that_may_not_be_kept_is_not(scripted, client_of, data, send, answer_all):
    with scripted(answer_all(data)) as server:
        client = client_of(server)
        assert [send(client).body for _ in range(2)] == [b"abc", b"abc"]
        assert len(server.lines) == 2


def test_a_body_without_a_length_lasts_until_the_connection_ends(scripted, client_of, send, answer_once):
    with scripted(answer_once(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as server:
        exchange = send(client_of(server))
    assert (exchange.error, exchange.body, exchange.truncated) == ("", b"all of it", False)


@pytest.mark.parametrize(
    ("method", "data", "status"),
    [
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("POST", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", 503),
        ("POST", b"HTTP/1.1 302 Found\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n", 302),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", 200),
    ],
)
def test_answers_without_a_body_leave_the_connection_usable(
    scripted, client_of, method, data, status, send, answer_all
):
    with scripted(answer_all(data)) as server:
        client = client_of(server)
        for _ in range(2):
            exchange = send(client, Request(method, "/", b"", (), stream=False))
            assert (exchange.error, exchange.status, exchange.body) == ("", status, b"")
        assert len(server.lines) == 1


def test_a_stream_is_kept_in_pieces_stamped_as_they_came(scripted, client_of, send):
    go_on = threading.Semaphore(0)

    def script(line):
        line.request()
        line.send(STREAM)
        for number in range(4):
            line.send(b"8\r\ntoken-%d \r\n" % number)
            assert go_on.acquire(timeout=5)
        line.send(b"0\r\n\r\n")

    def release():
        for _ in range(4):
            gevent.sleep(0.2)
            go_on.release()

    with scripted(script) as server:
        releasing = gevent.spawn(release)
        exchange = send(client_of(server), STREAMED)
        releasing.join(5)
    assert (exchange.error, exchange.truncated, exchange.body) == ("", False, b"")
    assert [piece for _, piece in exchange.pieces] == [b"token-%d " % number for number in range(4)]
    times_ns = [exchange.sent_ns, *(at_ns for at_ns, _ in exchange.pieces), exchange.last_ns]
    gaps_ns = [late - early for early, late in itertools.pairwise(times_ns)]
    assert min(gaps_ns) >= 0
    assert min(gaps_ns[1:]) > 15_000_000


def test_chunks_that_arrive_byte_by_byte_make_the_same_body(scripted, client_of, send):
    data = STREAM + b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"

    def script(line):
        line.request()
        for byte in data:
            line.send(bytes([byte]))
        line.until_closed()

    with scripted(script) as server:
        exchange = send(client_of(server), STREAMED)
    assert b"".join(piece for _, piece in exchange.pieces) == b"hello world"
    assert exchange.error == ""


def test_without_authorisation_nothing_is_written(scripted, client_of):
    received = []
    with scripted(lambda line: received.append(line.until_closed())) as server:
        client = client_of(server)
        calls = []
        for _ in range(2):
            exchange = client.send(POST, b"host: h\r\n", authorised=lambda: False, on_sent=calls.append)
            assert (exchange.error, exchange.sent_ns) == ("unauthorised", 0)
        client.close()
        assert server.over.wait(5)
    assert received == [b""]
    assert calls == []


def test_authorisation_is_asked_after_connecting_and_the_caller_learns_when_it_was_sent(
    scripted, client_of, answer_all
):
    order = []
    with scripted(answer_all(OK)) as server:

        def authorised():
            order.append(("asked", time.monotonic_ns()))
            return True

        exchange = client_of(server).send(
            POST, b"host: h\r\n", authorised=authorised, on_sent=lambda at_ns: order.append(("sent", at_ns))
        )
    assert [name for name, _ in order] == ["asked", "sent"]
    assert order[0][1] <= order[1][1] == exchange.sent_ns


def test_a_large_request_arrives_whole(scripted, client_of, send, answer_all):
    body = bytes(range(256)) * 20_000
    with scripted(answer_all(OK)) as server:
        exchange = send(client_of(server), Request("POST", "/", body, (), stream=False))
        assert server.requests[0].endswith(b"\r\n\r\n" + body)
    assert exchange.error == ""


def test_an_answer_that_comes_before_the_request_was_read_counts(scripted, client_of, send):
    def script(line):
        line.socket.recv(1024)
        line.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")

    with scripted(script) as server:
        client = client_of(server)
        exchange = send(client, Request("POST", "/", b"x" * 8_000_000, (), stream=False))
        assert (exchange.error, exchange.status) == ("", 413)
        assert not send(client).reused


def test_a_killed_request_closes_its_connection_and_frees_its_place(scripted, client_of, send):
    with scripted(lambda line: line.until_closed()) as server:
        client = client_of(server, max_connections=1)
        written = gevent.event.Event()
        sending = gevent.spawn(
            client.send, POST, b"host: h\r\n", authorised=lambda: True, on_sent=lambda _: written.set()
        )
        assert written.wait(5)
        with pytest.raises(EngineError, match="1 requests in flight"):
            send(client)
        sending.kill()
        assert server.over.wait(5)
        assert client.send(POST, b"", authorised=lambda: False).error == "unauthorised"


def test_a_timeout_of_the_caller_passes_through(scripted, client_of, send):
    with scripted(lambda line: line.until_closed()) as server:
        with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.1) as outer:
            send(client_of(server, 5))
        assert caught.value is outer
        assert server.over.wait(5)


def test_an_address_off_the_list_raises_and_nothing_is_sent(opened, send):
    client = opened(Endpoint("192.0.2.1", 80), 1.0)
    with pytest.raises(TargetRefusedError, match=r"192\.0\.2\.1:80 is not on this worker's allow-list"):
        send(client)
