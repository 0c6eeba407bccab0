"""Calls that go well, against a server on another implementation of HTTP/2."""

import socket
import threading
import time

import gevent
import h2.events
import h2.settings
import pytest
import trustme

from workers.contract.errors import EngineError, TargetRefusedError
from workers.contract.spec import FileRef, Tls
from workers.engine import h2_connection
from workers.engine.allow import AllowList
from workers.engine.endpoint import Endpoint
from workers.engine.grpc_client import GrpcClient
from workers.protocols.contract import Request

METADATA = (
    b"host: h\r\nuser-agent: shakeout\r\nAuthorization: Bearer x\r\naccept-encoding: identity\r\n"
    b"connection: close\r\nx-shakeout-id: surge/7/1\r\n"
)


def test_a_call_carries_its_message_its_deadline_and_the_targets_headers_as_metadata(served, echo, client_of):
    with served(echo) as server:
        request = Request("POST", "/team a/a.B/C", b"hello", (("X-More", "1"),), stream=False)
        exchange = client_of(server, 2.5).send(request, METADATA, authorised=lambda: True)
    assert (exchange.error, exchange.status, exchange.body) == ("", 200, b"hello")
    (heard,) = server.calls
    assert heard.message == b"hello"
    assert heard.headers == {
        ":method": "POST", ":scheme": "http", ":path": "/team%20a/a.B/C",
        ":authority": f"localhost:{server.port}", "te": "trailers", "content-type": "application/grpc",
        "grpc-timeout": "2500000u", "grpc-accept-encoding": "identity", "user-agent": "shakeout",
        "authorization": "Bearer x", "x-shakeout-id": "surge/7/1", "x-more": "1",
    }  # fmt: skip


def test_headers_and_trailers_of_the_answer_are_read_as_headers(served, client_of, send):
    def script(peer):
        peer.begin()
        peer.answer(peer.call(), b"x", more=[("x-model", "m"), ("x-odd", "a:b")])
        peer.until_closed()

    with served(script) as server:
        found = dict(send(client_of(server)).headers)
    assert found["content-type"] == "application/grpc"
    assert (found["grpc-status"], found["x-model"], found["x-odd"]) == ("0", "m", "a:b")


def test_a_connection_is_kept_and_only_the_first_call_pays_for_it(served, echo, client_of, send):
    with served(echo) as server:
        client = client_of(server)
        first, *others = [send(client, b"%d" % at) for at in range(5)]
        assert len(server.peers) == 1
    assert first.connect_ns > 0
    assert not first.reused
    assert all(one.connect_ns == 0 and one.reused for one in others)
    assert [heard.message for heard in server.calls] == [b"0", b"1", b"2", b"3", b"4"]


def test_times_are_those_of_the_first_byte_out_and_of_the_last_byte_in(served, client_of):
    seen = []

    def script(peer):
        peer.begin()
        heard = peer.call()
        peer.wire.send_headers(heard.stream, [(":status", "200"), ("content-type", "application/grpc")])
        peer.data(heard, b"\0\0\0\0\1x")
        time.sleep(0.2)
        seen.append(time.monotonic_ns())
        peer.wire.send_headers(heard.stream, [("grpc-status", "0")], end_stream=True)
        peer.flush()
        peer.until_closed()

    sent = []
    with served(script) as server:
        request = Request("POST", "/a.B/C", b"", (), stream=False)
        exchange = client_of(server).send(request, b"", authorised=lambda: True, on_sent=sent.append)
    assert sent == [exchange.sent_ns]
    assert exchange.last_ns >= seen[0] > exchange.sent_ns + 200_000_000


def test_without_authority_no_byte_of_the_call_leaves_and_the_connection_is_kept(
    served, echo, client_of, send
):
    with served(echo) as server:
        client = client_of(server)
        request = Request("POST", "/a.B/C", b"", (), stream=False)
        refused = client.send(request, b"", authorised=lambda: False)
        assert send(client).reused is False
        assert len(server.peers) == len(server.calls) == 1
    assert (refused.error, refused.sent_ns) == ("unauthorised", 0)


@pytest.mark.parametrize("window", [1, 1000, 65_535])
def test_a_message_larger_than_the_targets_windows_waits_for_room(served, client_of, send, window):
    message = bytes(range(256)) * (1200 if window > 1 else 1)

    def script(peer):
        peer.begin(INITIAL_WINDOW_SIZE=window)
        heard = peer.call()
        peer.answer(heard, heard.message)
        peer.until_closed()

    with served(script) as server:
        exchange = send(client_of(server), message)
    assert (exchange.error, exchange.text) == ("", "")
    assert exchange.body == message


def test_a_window_that_is_widened_in_the_middle_of_a_call_is_used(served, client_of, send):
    def script(peer):
        peer.begin(INITIAL_WINDOW_SIZE=0)
        peer.read()  # what came first: no byte of the message may come yet
        peer.wire.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100_000})
        peer.flush()
        heard = peer.call()
        peer.answer(heard, b"%d" % len(heard.message))
        peer.until_closed()

    with served(script) as server:
        exchange = send(client_of(server), b"x" * 50_000)
    assert (exchange.error, exchange.body) == ("", b"50000")


@pytest.fixture
def wide():
    """`wide(peer)` begins with windows as wide as they go, and waits for a call's first frame."""

    def begin(peer):
        peer.begin(INITIAL_WINDOW_SIZE=2**31 - 1)
        peer.wire.increment_flow_control_window(2**31 - 1 - 65_535)
        peer.flush()
        while not (first := [one for one in peer.read() if isinstance(one, h2.events.RequestReceived)]):
            pass
        return first[0].stream_id

    return begin


def test_what_is_owed_while_a_message_is_written_waits_and_cuts_no_frame(served, wide, client_of, send):
    message = bytes(range(256)) * 32_000

    def script(peer):
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        wide(peer)
        for _ in range(100):
            peer.wire.ping(b"12345678")
        peer.flush()
        time.sleep(0.2)  # the kernel's room is full by then, in the middle of a frame
        heard = peer.call()
        peer.answer(heard, b"%d" % len(heard.message))
        peer.until_closed()

    with served(script) as server:
        exchange = send(client_of(server, 20.0), message)
    assert (exchange.error, exchange.body) == ("", b"%d" % len(message))
    assert server.calls[0].message == message


def test_an_answer_before_the_message_was_read_is_the_answer(served, wide, client_of, send):
    over = threading.Event()

    def script(peer):
        heads = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "8")]
        stream = wide(peer)
        peer.wire.send_headers(stream, heads, end_stream=True)
        peer.flush()
        over.wait(10)  # and never reads the rest

    with served(script) as server:
        client = client_of(server)
        outcomes = [send(client, b"x" * 32_000_000) for _ in range(2)]
        over.set()
        assert len(server.peers) == 2, "half a message is on the first connection"
    assert [(one.error, one.status) for one in outcomes] == [("", 429)] * 2


def test_large_headers_go_in_several_frames(served, echo, client_of, send):
    block = b"".join(b"x-%d: %b\r\n" % (at, b"v" * 5000) for at in range(10))
    with served(echo) as server:
        exchange = send(client_of(server), block=block)
    assert (exchange.error, exchange.text) == ("", "")
    assert sum(len(value) == 5000 for value in server.calls[0].headers.values()) == 10


def test_a_large_answer_comes_whole(served, client_of, send):
    message = bytes(range(256)) * 20_000

    def script(peer):
        peer.begin()
        peer.answer(peer.call(), message)
        peer.until_closed()

    with served(script) as server:
        assert send(client_of(server)).body == message


def test_an_answer_that_comes_byte_by_byte_is_the_same(served, client_of, send):
    def script(peer):
        peer.begin()
        heard = peer.call()
        peer.wire.send_headers(heard.stream, [(":status", "200"), ("content-type", "application/grpc")])
        peer.wire.send_data(heard.stream, b"\0\0\0\0\5hello", pad_length=9)
        peer.wire.send_headers(heard.stream, [("grpc-status", "0")], end_stream=True)
        for byte in peer.wire.data_to_send():
            peer.socket.sendall(bytes([byte]))
        peer.until_closed()

    with served(script) as server:
        assert send(client_of(server)).body == b"hello"


def test_a_ping_is_answered_in_a_call_and_between_two(served, client_of, send):
    asked = []

    def script(peer):
        peer.begin()
        for round_ in range(2):
            heard = peer.call()
            peer.wire.ping(b"in-call%d" % round_)
            peer.flush()
            while not any(isinstance(event, h2.events.PingAckReceived) for event in peer.events):
                peer.read()
            peer.events.clear()
            peer.answer(heard, b"x")
            peer.wire.ping(b"between%d" % round_)
            peer.flush()
            asked.append(True)
        peer.until_closed()

    with served(script) as server:
        client = client_of(server)
        assert [send(client).error, send(client).error] == ["", ""]
        assert len(server.peers) == 1


def test_tls_speaks_h2_with_the_targets_own_authority(served, client_of, send, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1", "h2"])
    certificate.configure_cert(context)
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    chosen = []

    def script(peer):
        chosen.append(peer.socket.selected_alpn_protocol())
        peer.begin()
        while heard := peer.call():
            peer.answer(heard, heard.message)

    with served(script, context=context) as server:
        tls = Tls(ca=FileRef("s", 1, "ca.pem"))
        client = client_of(server, tls=tls, files={"s": str(tmp_path / "ca.pem")})
        first = send(client)
        assert (first.error, first.text, first.body) == ("", "", b"hello")
        assert send(client).reused
        stranger = send(client_of(server))
    assert chosen[0] == "h2"
    assert server.calls[0].headers[":scheme"] == "https"
    assert stranger.error == "connect"
    assert "certificate refused" in stranger.text


def test_an_address_that_is_not_allowed_is_refused_before_a_connection():
    client = GrpcClient(Endpoint("192.0.2.1", 9, allow=AllowList()), 1.0)
    with pytest.raises(TargetRefusedError):
        client.send(Request("POST", "/a", b"", (), stream=False), b"", authorised=lambda: True)


def test_more_calls_at_once_than_promised_are_the_callers_mistake(served, echo, client_of, send):
    with served(echo) as server:
        client = client_of(server, max_connections=1)
        client.close()
        with pytest.raises(EngineError, match="closed"):
            send(client)


def test_many_calls_at_once_each_get_their_own_answer(served, echo, client_of, send):
    def user(number: int) -> list[bytes]:
        return [send(client, b"%d/%d" % (number, at)).body for at in range(20)]

    with served(echo) as server:
        client = client_of(server, 30.0, max_connections=40)
        users = [gevent.spawn(user, number) for number in range(40)]
        gevent.joinall(users, timeout=60)
        assert len(server.peers) <= 40
    assert [one.value for one in users] == [[b"%d/%d" % (n, at) for at in range(20)] for n in range(40)]


def test_the_connections_own_window_is_opened_again_before_it_is_used_up(
    served, client_of, send, monkeypatch
):
    monkeypatch.setattr(h2_connection, "REFILL_BYTES", 1_000_000)
    more = []

    def script(peer):
        peer.begin()
        while heard := peer.call():
            peer.answer(heard, bytes(700_000))
            updates = [one for one in peer.events if isinstance(one, h2.events.WindowUpdated)]
            more.append([one.delta for one in updates if one.stream_id == 0])

    with served(script) as server:
        client = client_of(server)
        assert [len(send(client).body) for _ in range(4)] == [700_000] * 4
    opened, *refilled = more[-1]
    assert opened == h2_connection.h2.MAX_WINDOW - h2_connection.h2.DEFAULT_WINDOW
    assert refilled
    assert all(1_000_000 <= delta < 1_100_000 for delta in refilled)
