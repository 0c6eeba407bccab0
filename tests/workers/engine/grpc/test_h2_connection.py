"""Ports that speak something else than HTTP/2: no call is written to them."""

import socket
import ssl
import threading

import gevent
import pytest
import trustme

from workers.engine import h2_frames
from workers.engine.allow import AllowList
from workers.engine.endpoint import endpoint_of
from workers.engine.grpc_client import GrpcClient
from workers.protocols.contract import Request


def listening(act):
    """A port on which `act(socket)` serves one connection; and the call's exchange."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def run():
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(10)
                act(sock)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        exchange = called(f"http://127.0.0.1:{port}", 0.5 if act is drain else 10.0)
        thread.join(10)
        assert not thread.is_alive()
        return exchange, port


def called(url: str, timeout_s: float = 10.0):
    client = GrpcClient(endpoint_of(url, allow=AllowList()), timeout_s)
    exchange = client.send(Request("POST", "/a.B/C", b"", (), stream=False), b"", authorised=lambda: True)
    client.close()
    return exchange


def drain(sock) -> None:
    while sock.recv(65536):
        pass


def answering(data_: bytes):
    def act(sock):
        sock.recv(65536)
        sock.sendall(data_)
        drain(sock)

    return act


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "speaks HTTP/1, not gRPC (HTTP/2)"),
        (answering(b"HTTP/1.0"), "speaks HTTP/1, not gRPC (HTTP/2)"),
        (answering(b"\x15\x03\x01\0\2\2\x46"), "speaks TLS: write https://"),
        (answering(b"-ERR unknown command\r\n"), "speaks neither gRPC nor HTTP/2"),
        (answering(h2_frames.frame(h2_frames.PING, 0, payload=bytes(8))), "speaks neither gRPC nor HTTP/2"),
        (drain, "is silent for 0.5 s after HTTP/2's opening bytes; is this its gRPC port?"),
        (lambda sock: sock.recv(65536), "connection closed"),
    ],
)
def test_a_port_that_speaks_no_grpc_gets_no_call_and_is_told_in_plain_words(act, text):
    exchange, port = listening(act)
    assert (exchange.error, exchange.sent_ns) == ("connect", 0)
    assert exchange.text.startswith(f"127.0.0.1:{port} ")
    assert text in exchange.text
    assert exchange.connect_ns > 0


def test_settings_that_came_while_the_engine_stood_still_are_in_time(served, echo):
    may_greet, greeted = threading.Event(), threading.Event()
    slow = threading.Event()

    def late(peer):
        assert may_greet.wait(10)
        begin = peer.begin

        def begin_and_say(**settings):
            begin(**settings)
            greeted.set()
            return peer

        peer.begin = begin_and_say
        echo(peer)

    def stand_still():
        slow.wait(0.8)  # longer than the call has
        may_greet.set()
        assert greeted.wait(10)

    with served(late) as server:
        gevent.spawn_later(0.05, stand_still)
        exchange = called(server.url, 0.5)
    assert exchange.sent_ns > 0
    assert exchange.connect_ns > 0.5e9


def test_the_demo_targets_port_of_http_1_is_told_by_name(demo):
    exchange = called(demo().url)
    assert exchange.error == "connect"
    assert "HTTP/1" in exchange.text


def test_a_port_where_nobody_listens_is_a_connect_error():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        exchange = called(f"http://127.0.0.1:{held.getsockname()[1]}")
    assert exchange.error == "connect"
    assert "connection refused" in exchange.text


def test_https_to_a_port_without_tls_says_so(served, echo):
    with served(echo) as server:
        exchange = called(server.url.replace("http:", "https:"))
    assert exchange.error == "connect"
    assert "TLS" in exchange.text


def test_http_to_a_port_with_tls_says_what_to_write(served, echo):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with served(echo, context=context) as server:
        exchange = called(server.url.replace("https:", "http:"))
    assert exchange.error == "connect"
    assert "https://" in exchange.text
