"""The client against servers that answer well, badly, late, in pieces, or not at all."""

import gc
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


def send(client, request=POST, block=b"host: h\r\n"):
    return client.send(request, block, authorised=lambda: True)


def answer_all(data):
    def script(line):
        while line.request():
            line.send(data)

    return script


def answer_once(data):
    """Answer the first request of a connection, then close it."""

    def script(line):
        line.request()
        line.send(data)

    return script


def test_a_request_goes_out_once_with_every_line_once(scripted, client_of):
    with scripted(answer_all(OK)) as server:
        endpoint = endpoint_of(server.url, allow=AllowList())
        block = header_block(endpoint, {"Authorization": "Bearer x"}) + b"x-shakeout-id: a/1/1\r\n"
        send(client_of(server), block=block)
        assert server.requests == [
            b"POST /v1/x?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: shakeout\r\n" % server.port
            + b"authorization: Bearer x\r\naccept-encoding: identity\r\nx-shakeout-id: a/1/1\r\n"
            + b'content-type: application/json\r\ncontent-length: 8\r\n\r\n{"a": 1}'
        ]


def test_a_header_of_the_campaign_wins_over_the_protocols(scripted, client_of):
    with scripted(answer_all(OK)) as server:
        send(client_of(server), block=b"host: h\r\ncontent-type: text/x\r\n")
        assert server.requests[0].lower().count(b"content-type") == 1
        assert b"content-type: text/x\r\n" in server.requests[0]


@pytest.mark.parametrize(("method", "line"), [("GET", False), ("POST", True)])
def test_an_empty_body_has_a_length_only_where_a_body_belongs(scripted, client_of, method, line):
    with scripted(answer_all(OK)) as server:
        send(client_of(server), Request(method, "/a b\r\nc", b"", (), stream=False))
        assert (b"content-length: 0\r\n" in server.requests[0]) == line
        assert server.requests[0].startswith(method.encode() + b" /a%20b%0D%0Ac HTTP/1.1\r\n")


def test_an_answer_is_taken_whole_and_stamped_in_order(scripted, client_of):
    with scripted(answer_all(OK)) as server:
        before_ns = time.monotonic_ns()
        exchange = send(client_of(server))
        after_ns = time.monotonic_ns()
    assert (exchange.error, exchange.status, exchange.body) == ("", 200, b"abc")
    assert exchange.headers == [("content-length", "3"), ("x-a", "b")]
    assert exchange.connect_ns > 0
    assert before_ns + exchange.connect_ns <= exchange.sent_ns <= exchange.last_ns <= after_ns


def test_a_kept_connection_is_used_again_and_costs_no_connect(scripted, client_of):
    with scripted(answer_all(OK)) as server:
        client = client_of(server)
        exchanges = [send(client) for _ in range(5)]
        assert len(server.lines) == 1
    assert exchanges[0].connect_ns > 0
    assert [(other.connect_ns, other.reused) for other in exchanges[1:]] == [(0, True)] * 4


def test_each_request_in_flight_has_its_own_connection_and_the_last_used_comes_first(scripted, client_of):
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
def test_a_connection_that_may_not_be_kept_is_not(scripted, client_of, data):
    with scripted(answer_all(data)) as server:
        client = client_of(server)
        assert [send(client).body for _ in range(2)] == [b"abc", b"abc"]
        assert len(server.lines) == 2


def test_a_body_without_a_length_lasts_until_the_connection_ends(scripted, client_of):
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
def test_answers_without_a_body_leave_the_connection_usable(scripted, client_of, method, data, status):
    with scripted(answer_all(data)) as server:
        client = client_of(server)
        for _ in range(2):
            exchange = send(client, Request(method, "/", b"", (), stream=False))
            assert (exchange.error, exchange.status, exchange.body) == ("", status, b"")
        assert len(server.lines) == 1


def test_a_stream_is_kept_in_pieces_stamped_as_they_came(scripted, client_of):
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
            gevent.sleep(0.03)
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


def test_chunks_that_arrive_byte_by_byte_make_the_same_body(scripted, client_of):
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


def test_a_server_that_never_answers_is_a_timeout_from_the_first_byte_sent(scripted, client_of):
    with scripted(lambda line: line.until_closed()) as server:
        exchange = send(client_of(server, 0.2))
    assert (exchange.error, exchange.text) == ("timeout", "no answer within 0.2 s")
    assert 0.2 <= (exchange.last_ns - exchange.sent_ns) / 1e9 < 1.5


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_drip_does_not_extend_the_timeout(scripted, client_of, stream):
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


def test_an_endless_answer_ends_at_the_bound_and_lets_others_run(scripted, client_of):
    def script(line):
        line.request()
        line.send(STREAM)
        while True:
            line.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")

    ticks = []

    def tick():
        while True:
            ticks.append(time.monotonic())
            gevent.sleep(0)

    with scripted(script) as server:
        ticking = gevent.spawn(tick)
        exchange = send(client_of(server, 20, max_body_bytes=16 * 1024 * 1024))
        ticking.kill()
    assert (exchange.error, exchange.text) == ("invalid", "not a valid HTTP answer: over 16777216 bytes")
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
def test_a_server_that_closes_too_early_is_a_reset_and_hears_it_once(scripted, client_of, data, text):
    with scripted(answer_once(data)) as server:
        exchange = send(client_of(server))
        assert len(server.requests) == 1
    assert (exchange.error, exchange.text) == ("reset", text)
    assert exchange.last_ns >= exchange.sent_ns > 0


def test_a_stream_that_ends_in_order_too_early_is_left_to_the_protocol(scripted, client_of):
    with scripted(answer_once(STREAM + b"5\r\nhello\r\n")) as server:
        exchange = send(client_of(server), STREAMED)
    assert (exchange.error, exchange.truncated) == ("", True)
    assert [piece for _, piece in exchange.pieces] == [b"hello"]


def test_a_stream_cut_by_a_reset_is_a_reset_that_keeps_what_came(scripted, client_of):
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


def test_a_request_that_dies_on_a_kept_connection_is_never_sent_again(scripted, client_of):
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
def test_a_connection_that_died_while_idle_is_noticed_before_use(scripted, client_of, farewell):
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
def test_what_is_not_http_is_invalid(scripted, client_of, data):
    with scripted(answer_once(data)) as server:
        exchange = send(client_of(server))
    assert exchange.error == "invalid"
    assert exchange.text.startswith("not a valid HTTP answer: ")


def test_a_compressed_answer_is_invalid_and_says_so(scripted, client_of):
    with scripted(answer_all(OK.replace(b"X-A: b", b"Content-Encoding: gzip"))) as server:
        exchange = send(client_of(server))
    assert (exchange.error, exchange.status) == ("invalid", 200)
    assert exchange.text == "content-encoding gzip, though identity was asked for"


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


def test_authorisation_is_asked_after_connecting_and_the_caller_learns_when_it_was_sent(scripted, client_of):
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


def test_a_large_request_arrives_whole(scripted, client_of):
    body = bytes(range(256)) * 20_000
    with scripted(answer_all(OK)) as server:
        exchange = send(client_of(server), Request("POST", "/", body, (), stream=False))
        assert server.requests[0].endswith(b"\r\n\r\n" + body)
    assert exchange.error == ""


def test_an_answer_that_comes_before_the_request_was_read_counts(scripted, client_of):
    def script(line):
        line.socket.recv(1024)
        line.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")

    with scripted(script) as server:
        client = client_of(server)
        exchange = send(client, Request("POST", "/", b"x" * 8_000_000, (), stream=False))
        assert (exchange.error, exchange.status) == ("", 413)
        assert not send(client).reused


def test_a_killed_request_closes_its_connection_and_frees_its_place(scripted, client_of):
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


def test_a_timeout_of_the_caller_passes_through(scripted, client_of):
    with scripted(lambda line: line.until_closed()) as server:
        with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.1) as outer:
            send(client_of(server, 5))
        assert caught.value is outer
        assert server.over.wait(5)


def test_failures_leave_nothing_for_the_cycle_collector(scripted, client_of, opened, deaf_port):
    def script(line):
        if b"/reset" in line.request():
            line.reset()
        else:
            line.until_closed()

    with scripted(script) as server:
        slow, fast = client_of(server, 0.02), client_of(server)
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


def test_an_address_off_the_list_raises_and_nothing_is_sent(opened):
    client = opened(Endpoint("192.0.2.1", 80), 1.0)
    with pytest.raises(TargetRefusedError, match=r"192\.0\.2\.1:80 is not on this worker's allow-list"):
        send(client)
