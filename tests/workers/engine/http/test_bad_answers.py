"""Answers that are wrong below the protocol: framing, size, compression, redirects, another's port."""

import gzip
import threading
import time
import tracemalloc

import gevent
import pytest

from workers.protocols.contract import Request
from workers.protocols.select import make_protocol

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 1024 * 1024
SETTINGS = b"\0\0\x06\4\0\0\0\0\0\0\x03\x7f\xff\xff\xff"
GOAWAY = b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\1"
ALERT = b"\x15\x03\x01\0\2\2\x46"


@pytest.mark.parametrize(
    "rest",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nabc\r\n",
        b"\r\n\r\n",
        b"3;" + b"x" * 10 + b"\nabc\r\n0\r\n\r\n",
    ],
)
def test_invalid_chunking_is_invalid_and_the_connection_is_not_kept(
    scripted, client_of, send, answer_once, rest
):
    with scripted(answer_once(CHUNKED + rest)) as server:
        client = client_of(server)
        exchange = send(client)
        send(client)
        assert len(server.lines) == 2
    assert exchange.error == "invalid"
    assert exchange.text.startswith("not a valid HTTP answer: ")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
        b"Content-Length: -3\r\n\r\nabc",
        b"Content-Length: 99999999999999999999999\r\n\r\nabc",
        b"no colon\r\n\r\n",
        b"a b: c\r\n\r\n",
    ],
)
def test_a_head_that_says_two_things_or_none_is_invalid(scripted, client_of, send, answer_once, head):
    with scripted(answer_once(b"HTTP/1.1 200 OK\r\n" + head)) as server:
        exchange = send(client_of(server))
    assert exchange.error == "invalid", (exchange.error, exchange.text)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SETTINGS + GOAWAY, "HTTP/2"),
        (GOAWAY, "kserve-v2-grpc"),
        (ALERT, "https://"),
        (b"\x00" * 64, "Expected HTTP"),
        (b"+PONG\r\n", "Expected HTTP"),
        (b"220 smtp.example ready\r\n", "Expected HTTP"),
    ],
)
def test_another_protocols_port_is_named_where_it_is_known(
    scripted, client_of, send, answer_once, data, words
):
    with scripted(answer_once(data)) as server:
        exchange = send(client_of(server))
    assert exchange.error == "invalid"
    assert words in exchange.text


def test_headers_that_drip_run_into_the_timeout_of_the_whole_request(scripted, client_of, send):
    def script(line):
        line.request()
        line.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            line.send(b"x-%d: y\r\n" % number)
            time.sleep(0.02)

    with scripted(script) as server:
        began_s = time.monotonic()
        exchange = send(client_of(server, 0.3))
        took_s = time.monotonic() - began_s
    assert (exchange.error, exchange.text) == ("timeout", "no answer within 0.3 s")
    assert 0.3 <= took_s < 3 * 0.3 + 0.5


def test_an_answer_of_a_hundred_megabytes_is_cut_at_the_bound_and_so_is_its_memory(scripted, client_of, send):
    def script(line):
        line.request()
        line.send(HEAD + b"Content-Length: %d\r\n\r\n" % (100 * MIB))
        for _ in range(100):
            line.send(b" " * MIB)

    with scripted(script) as server:
        client = client_of(server, 30.0, max_body_bytes=8 * MIB)
        tracemalloc.start()
        try:
            exchange = send(client)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert exchange.error == "invalid"
    assert f"over {8 * MIB} bytes" in exchange.text
    assert peak_bytes < 40 * MIB, "the pieces, and them joined; the test's own server sends one at a time"


def test_large_answers_at_the_same_time_share_one_bound_and_small_ones_pass(scripted, client_of, send):
    begun = threading.Semaphore(0)
    all_began = threading.Event()

    def script(line):
        while asked := line.request():
            size = 8 * MIB if b"/large" in asked else 128 * 1024
            try:
                line.send(HEAD + b"Content-Length: %d\r\n\r\n" % size + b" " * (size // 2))
            finally:
                begun.release()
            all_began.wait(10)
            for _ in range(64):
                line.send(b" " * (size // 128))

    large = Request("POST", "/large", b"{}", (), stream=False)
    with scripted(script) as server:
        client = client_of(server, 30.0, max_held_bytes=16 * MIB)
        tracemalloc.start()
        try:
            asked = [gevent.spawn(send, client, large) for _ in range(12)]
            small = [gevent.spawn(send, client) for _ in range(4)]
            for _ in range(16):
                while not begun.acquire(blocking=False):
                    gevent.sleep(0.001)
            all_began.set()
            gevent.joinall([*asked, *small], timeout=30, raise_error=True)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        kept = [one.value for one in asked if not one.value.error]
        assert [send(client, large).text for _ in range(4)] == [""] * 4, "nothing is held any more"
    assert {one.value.error for one in small} == {""}
    assert {one.value.error for one in asked} <= {"", "invalid"}
    for one in asked:
        assert one.value.error == "" or "answers under way hold over 16777216 bytes" in one.value.text
    assert len(kept) < 12
    assert peak_bytes < 12 * 8 * MIB, "the test's own server and what was kept are in it, too"


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate, gzip", b"x-unknown"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_bomb_is_refused_by_its_name_and_never_inflated(scripted, client_of, coding, stream):
    bomb = gzip.compress(b"\0" * (50 * MIB))
    head = HEAD + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(bomb))

    def script(line):
        line.request()
        line.send(head + bomb)

    request = Request("POST", "/", b"{}", (), stream=stream)
    with scripted(script) as server:
        client = client_of(server)
        tracemalloc.start()
        try:
            exchange = client.send(request, b"host: h\r\n", authorised=lambda: True)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert exchange.error == "invalid"
    assert exchange.text == f"content-encoding {coding.decode()}, though identity was asked for"
    assert peak_bytes < 5 * MIB


@pytest.mark.parametrize("name", ["openai-chat", "openai-embeddings", "kserve-v2", "tf-serving", "json-http"])
def test_a_redirect_that_leads_in_a_circle_is_a_failure_told_with_its_address(scripted, client_of, name):
    def script(line):
        while line.request():
            to = line.server.url.encode() + b"/round?key=secret"
            line.send(b"HTTP/1.1 307 Again\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % to)

    row = {"prompt": "x", "instances": [1]}
    row["inputs"] = [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]
    if name == "tf-serving":
        del row["inputs"]
    protocol = make_protocol(name, {"model": "m"}, seed=1, for_regression=False)
    request = protocol.build(row)
    with scripted(script) as server:
        exchange = client_of(server).send(request, b"host: h\r\n", authorised=lambda: True)
        answer, _ = protocol.parse_stream(exchange.status, exchange.headers, [(1, exchange.body)])
        assert len(server.requests) == 1
    assert answer.kind == "http_307"
    assert f"redirect to {server.url}/round, which is never followed" in answer.why
    assert "secret" not in answer.why


def test_an_answer_before_the_request_was_read_is_the_answer(scripted, client_of):
    over = threading.Event()

    def script(line):
        line.socket.recv(1)
        line.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        over.wait(10)  # and never reads the rest

    request = Request("POST", "/", b"x" * (32 * MIB), (), stream=False)
    with scripted(script) as server:
        client = client_of(server)
        exchange = client.send(request, b"host: h\r\n", authorised=lambda: True)
        client.send(request, b"host: h\r\n", authorised=lambda: True)
        over.set()
        assert len(server.lines) == 2, "half a request is on the first connection"
    assert (exchange.error, exchange.status) == ("", 413)


def test_a_protocol_that_nobody_asked_to_switch_to_is_named(scripted, client_of, send, answer_once):
    data = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    with scripted(answer_once(data)) as server:
        exchange = send(client_of(server))
    assert exchange.error == "invalid"
    assert "101, another protocol, which nobody asked for" in exchange.text
