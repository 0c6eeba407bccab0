"""Calls that go badly: servers that refuse, break off, or misbehave."""

import gc
import struct
import threading
import time

import h2.errors
import pytest
from hpack import Encoder

from workers.engine import h2_frames
from workers.engine.allow import AllowList
from workers.engine.endpoint import endpoint_of
from workers.engine.grpc_client import GrpcClient
from workers.protocols.grpc_status import CODES

HEADS = [(":status", "200"), ("content-type", "application/grpc")]
DONE = [("grpc-status", "0")]
SLACK_S = 3.0  # a busy machine is late, never early
HELLO = b"\0\0\0\0\5hello"


def once(act):
    """A script that reads one call, lets `act(peer, heard)` answer it, and waits for the end."""

    def script(peer):
        peer.begin()
        if heard := peer.call():
            act(peer, heard)
            peer.flush()
            peer.until_closed()

    return script


def frames(*pieces: bytes):
    """A script that answers a call with these very bytes."""
    return once(lambda peer, _: peer.socket.sendall(b"".join(pieces)))


def heads(*pairs, flags: int = h2_frames.END_HEADERS) -> bytes:
    return h2_frames.frame(h2_frames.HEADERS, flags, stream=1, payload=Encoder().encode(list(pairs)))


def data(payload: bytes, flags: int = 0) -> bytes:
    return h2_frames.frame(h2_frames.DATA, flags, stream=1, payload=payload)


ENDED = h2_frames.END_HEADERS | h2_frames.END_STREAM
TRAILERS = heads(*DONE, flags=ENDED)


@pytest.mark.parametrize("code", [code for code in CODES if code])
def test_a_status_is_booked_as_the_http_status_that_says_the_same(served, client_of, send, code):
    with served(
        once(lambda peer, heard: peer.answer(heard, None, status=code, words="no %E2%9C%93"))
    ) as server:
        client = client_of(server)
        exchange = send(client)
    assert (exchange.error, exchange.status) == ("", CODES[code].http_status)
    assert dict(exchange.headers)["grpc-message"] == "no %E2%9C%93"


def test_an_answer_of_trailers_alone_is_an_answer_and_the_connection_is_kept(served, client_of, send):
    def script(peer):
        peer.begin()
        while heard := peer.call():
            peer.wire.send_headers(heard.stream, [*HEADS, ("grpc-status", "5")], end_stream=True)
            peer.flush()

    with served(script) as server:
        client = client_of(server)
        assert [send(client).status, send(client).status] == [404, 404]
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((heads(*HEADS), data(HELLO, 1)), "ended without a grpc-status (its trailers are missing)"),
        ((heads(*HEADS), data(HELLO[:8]), TRAILERS), "the answer ended after 3 of its message's 5 bytes"),
        ((heads(*HEADS), TRAILERS), "the answer holds no message, though its grpc-status is 0"),
        ((heads(*HEADS), data(HELLO + HELLO), TRAILERS), "more than one message"),
        ((heads(*HEADS), data(b"\1" + HELLO[1:]), TRAILERS), "a compressed message"),
        ((heads((":status", "200"), ("content-type", "text/html")), data(b"<p>", 1)), "'text/html' is not"),
        ((data(HELLO),), "DATA before HEADERS"),
        ((heads(("a", "b")),), "do not begin with a status"),
        ((heads(*HEADS), heads(*DONE)), "trailers that do not end the answer"),
        ((heads(*HEADS, flags=0), data(b"")), "headers that are interrupted"),
        ((h2_frames.frame(h2_frames.CONTINUATION, 4, stream=1),), "CONTINUATION without HEADERS"),
        ((h2_frames.frame(h2_frames.HEADERS, 4, stream=1, payload=b"\xff" * 6),), "cannot be decoded"),
        ((h2_frames.frame(h2_frames.HEADERS, 12, stream=1, payload=b"\x09ab"),), "padding is longer"),
        ((heads(*HEADS), data(b"", 8)), "padded frame without"),
        ((h2_frames.frame(h2_frames.DATA, 0, stream=3),), "a frame of kind 0 for stream 3"),
        ((h2_frames.frame(h2_frames.PUSH_PROMISE, 4, stream=1),), "a push, though none is allowed"),
        ((h2_frames.frame(h2_frames.SETTINGS, 0, payload=b"abc"),), "SETTINGS of 3 bytes"),
        ((h2_frames.settings({h2_frames.MAX_FRAME_SIZE: 1}),), "beyond HTTP/2's bounds"),
        ((b"\xff\xff\xff\0\0\0\0\0\1",), "a frame of 16777215 bytes"),
        ((b"HTTP/1.1 200 OK\r\n\r\n",), "a frame of 4740180 bytes"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_grpc_is_invalid_and_says_why(served, client_of, send, pieces, text):
    with served(frames(*pieces)) as server:
        exchange = send(client_of(server))
    assert exchange.error == "invalid"
    assert text in exchange.text
    assert exchange.last_ns > exchange.sent_ns > 0


def test_headers_without_end_are_bounded(served, client_of, send):
    endless = [h2_frames.frame(h2_frames.CONTINUATION, 0, stream=1, payload=b"x" * 16_000)] * 40
    with served(frames(heads(*HEADS, flags=0), *endless)) as server:
        exchange = send(client_of(server))
    assert exchange.text == "not a valid HTTP/2 answer: headers over 256 KiB"


def test_headers_that_swell_while_they_are_read_are_bounded(served, client_of, send):
    encoder = Encoder()
    bomb = encoder.encode([(":status", "200"), ("big", "v" * 4000)]) + b"\xbe" * 8000
    with served(frames(h2_frames.frame(h2_frames.HEADERS, 4, stream=1, payload=bomb))) as server:
        exchange = send(client_of(server))
    assert exchange.error == "invalid"
    assert "cannot be decoded" in exchange.text


def test_an_answer_without_end_is_bounded(served, client_of, send):
    def act(peer, _):
        peer.socket.sendall(heads(*HEADS))
        while True:
            peer.socket.sendall(data(b"x" * 16_000) * 16)

    with served(once(act)) as server:
        exchange = send(client_of(server, 20, max_answer_bytes=8 * 1024 * 1024))
    assert (exchange.error, exchange.text) == ("invalid", "not a valid HTTP/2 answer: over 8388608 bytes")


def test_a_flood_of_pings_is_bounded_like_any_answer(served, client_of, send):
    ping = h2_frames.frame(h2_frames.PING, 0, payload=b"12345678")

    def act(peer, _):
        threading.Thread(target=peer.until_closed, daemon=True).start()
        while True:
            peer.socket.sendall(ping * 1000)

    with served(once(act)) as server:
        exchange = send(client_of(server, 20, max_answer_bytes=1024 * 1024))
    assert (exchange.error, exchange.text) == ("invalid", "not a valid HTTP/2 answer: over 1048576 bytes")


@pytest.mark.parametrize(
    ("status", "more"), [("503", ()), ("200", (("content-type", "text/html"),))], ids=["503", "html"]
)
def test_a_page_of_a_proxy_is_told_from_an_answer(served, client_of, send, status, more):
    def act(peer, heard):
        peer.wire.send_headers(heard.stream, [(":status", status), *more])
        peer.wire.send_data(heard.stream, b"<p>no upstream</p>", end_stream=True)

    with served(once(act)) as server:
        exchange = send(client_of(server))
    if status == "503":
        assert (exchange.error, exchange.status, exchange.body) == ("", 503, b"<p>no upstream</p>")
    else:
        assert exchange.error == "invalid"


def test_an_interim_answer_is_passed_over(served, client_of, send):
    interim = heads((":status", "103"), ("link", "x"))
    with served(frames(interim, heads(*HEADS), data(HELLO), TRAILERS)) as server:
        assert send(client_of(server)).body == b"hello"


def test_a_frame_of_an_unknown_kind_is_passed_over(served, client_of, send):
    unknown = h2_frames.frame(0x42, 0xFF, stream=1, payload=b"grease")
    with served(frames(unknown, heads(*HEADS), unknown, data(HELLO), TRAILERS)) as server:
        assert send(client_of(server)).body == b"hello"


def test_a_call_that_the_target_resets_is_a_reset_that_names_the_code(served, client_of, send):
    def act(peer, heard):
        peer.wire.reset_stream(heard.stream, h2.errors.ErrorCodes.REFUSED_STREAM)

    with served(once(act)) as server:
        exchange = send(client_of(server))
        assert len(server.calls) == 1
    assert exchange.error == "reset"
    assert exchange.text == "the target reset the call (REFUSED_STREAM) before an answer"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((), "connection closed before an answer"),
        ((heads(*HEADS),), "connection closed before the answer's end"),
        ((heads(*HEADS), data(HELLO)), "connection closed before the answer's end"),
    ],
)
def test_a_server_that_dies_in_the_middle_of_a_call_is_a_reset_and_hears_it_once(
    served, client_of, send, pieces, text
):
    def script(peer):
        peer.begin()
        peer.call()
        peer.socket.sendall(b"".join(pieces))

    with served(script) as server:
        exchange = send(client_of(server))
        assert len(server.calls) == 1
    assert (exchange.error, exchange.text) == ("reset", text)


def test_a_goodbye_between_two_calls_costs_no_request(served, client_of, send):
    def script(peer):
        peer.begin()
        peer.answer(peer.call(), b"x")
        peer.wire.close_connection()
        peer.flush()
        peer.until_closed()

    with served(script) as server:
        client = client_of(server)
        assert [send(client).error for _ in range(3)] == ["", "", ""]
        assert len(server.peers) == 3


def test_a_goodbye_in_the_middle_of_a_call_lets_it_end_and_the_next_one_goes_elsewhere(
    served, client_of, send
):
    def script(peer):
        peer.begin()
        if heard := peer.call():
            peer.socket.sendall(
                h2_frames.frame(h2_frames.GOAWAY, 0, payload=struct.pack(">II", 2**31 - 1, 0))
            )
            peer.answer(heard, b"x")
            peer.until_closed()

    with served(script) as server:
        client = client_of(server)
        assert [send(client).body, send(client).body] == [b"x", b"x"]
        assert len(server.peers) == 2


def test_a_goodbye_that_leaves_a_call_out_is_a_reset_and_it_is_not_sent_again(served, client_of, send):
    goodbye = h2_frames.frame(h2_frames.GOAWAY, 0, payload=struct.pack(">II", 0, 0))
    with served(frames(goodbye)) as server:
        exchange = send(client_of(server))
        assert len(server.calls) == 1
    assert exchange.error == "reset"
    assert "(GOAWAY)" in exchange.text


def test_a_server_that_never_answers_is_a_timeout_from_the_first_byte_sent(served, client_of, send):
    with served(once(lambda *_: None)) as server:
        exchange = send(client_of(server, 0.3))
    assert (exchange.error, exchange.text) == ("timeout", "no answer within 0.3 s")
    assert 0.3 <= (exchange.last_ns - exchange.sent_ns) / 1e9 < 0.3 + SLACK_S


def test_a_message_that_the_target_has_no_room_for_is_a_timeout_too(served, client_of, send):
    def script(peer):
        peer.begin(INITIAL_WINDOW_SIZE=10)
        peer.until_closed()

    with served(script) as server:
        exchange = send(client_of(server, 0.3), b"x" * 100)
    assert (exchange.error, exchange.text) == ("timeout", "no answer within 0.3 s")


def test_a_target_that_gives_up_at_our_deadline_says_what_our_clock_would_have_said(served, client_of, send):
    def act(peer, heard):
        time.sleep(0.96)
        peer.answer(heard, None, status=4)

    with served(once(act)) as server:
        exchange = send(client_of(server, 1.0))
    assert exchange.error == "timeout"


def test_a_target_that_gives_up_long_before_our_deadline_failed_by_itself(served, client_of, send):
    with served(once(lambda peer, heard: peer.answer(heard, None, status=4))) as server:
        exchange = send(client_of(server, 30.0))
    assert (exchange.error, exchange.status) == ("", 504)


def test_what_a_target_says_of_a_call_that_is_over_costs_no_connection(served, client_of, send):
    def script(peer):
        peer.begin()
        while heard := peer.call():
            peer.answer(heard, b"x")
            peer.socket.sendall(
                h2_frames.window_update(heard.stream, 5)
                + h2_frames.frame(h2_frames.RST_STREAM, 0, stream=heard.stream, payload=bytes(4))
            )

    with served(script) as server:
        client = client_of(server)
        assert [send(client).error for _ in range(5)] == [""] * 5
        assert len(server.peers) == 1


def test_failed_calls_leave_nothing_for_a_collector_that_is_off(served, client_of, send):
    with served(once(lambda *_: None)) as silent, served(frames(data(HELLO))) as broken:
        slow, wrong = client_of(silent, 0.3), client_of(broken)
        refused = GrpcClient(endpoint_of("http://127.0.0.1:1", allow=AllowList()), 1.0)
        clients = [slow, wrong, refused]
        for client in clients:
            send(client)
        gc.collect()
        gc.disable()
        try:
            outcomes = [send(client).error for client in clients * 5]
            left = gc.collect()
        finally:
            gc.enable()
    assert outcomes == ["timeout", "invalid", "connect"] * 5
    assert left < 15
