"""TLS as targets have it: their own authority, a client's certificate, and each way in which trust fails."""

import datetime as dt
import ssl
import threading
import time

import gevent
import pytest
import trustme

from workers.contract.spec import FileRef, Tls
from workers.engine.allow import AllowList
from workers.engine.endpoint import endpoint_of
from workers.protocols.contract import Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger():
    """An authority that this target does not know, nor is it known to us."""
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, stranger, tmp_path_factory):
    """PEM files by name: `ca`, `other-ca`, and of clients `cert`, `key`, `other-cert`, `other-key`."""
    folder = tmp_path_factory.mktemp("tls")
    found = {}
    for prefix, issuer in (("", authority), ("other-", stranger)):
        client = issuer.issue_cert("client.example")
        parts = {
            "ca": issuer.cert_pem,
            "cert": trustme.Blob(b"".join(blob.bytes() for blob in client.cert_chain_pems)),
            "key": client.private_key_pem,
        }
        for name, blob in parts.items():
            blob.write_to_path(str(folder / f"{prefix}{name}.pem"))
            found[prefix + name] = str(folder / f"{prefix}{name}.pem")
    return found


@pytest.fixture
def serving(scripted, authority, answer_all):
    """`serving(certificate, clients=authority)`: a TLS server; with `clients` it wants their certificates."""

    def start(certificate=None, *, clients=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or authority.issue_cert("127.0.0.1")).configure_cert(context)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            clients.configure_trust(context)
        return scripted(answer_all(OK), context=context)

    return start


@pytest.fixture
def ask(opened, files, send):
    """`ask(server, ca="ca", ...)`: what one request over TLS came to; names of `files` for paths."""

    def one(server, *, scheme="https", verify=True, server_name=None, **named):
        refs = {key: FileRef(sha256=name, size_bytes=1, name=f"{name}.pem") for key, name in named.items()}
        tls = Tls(verify=verify, server_name=server_name, **refs)
        url = f"{scheme}://127.0.0.1:{server.port}"
        return send(opened(endpoint_of(url, allow=AllowList(), tls=tls, files=files), 2.0))

    return one


def test_a_target_that_wants_a_clients_certificate_takes_the_right_one(serving, ask, authority):
    with serving(clients=authority) as server:
        exchange = ask(server, ca="ca", cert="cert", key="key")
    assert (exchange.error, exchange.body) == ("", b"abc")
    assert exchange.connect_ns > 0


@pytest.mark.parametrize("named", [{}, {"cert": "other-cert", "key": "other-key"}])
def test_a_client_without_the_right_certificate_is_told_so(serving, ask, authority, named):
    with serving(clients=authority) as server:
        exchange = ask(server, ca="ca", **named)
    assert exchange.error in {"connect", "reset"}
    assert "certificate" in exchange.text


def test_another_authority_is_refused(serving, ask):
    with serving() as server:
        exchange = ask(server, ca="other-ca")
    assert (exchange.error, exchange.sent_ns, server.requests) == ("connect", 0, [])
    assert "certificate refused: " in exchange.text


def test_a_certificate_that_has_run_out_is_refused_with_that_word(serving, ask, authority):
    old = authority.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO + dt.timedelta(1))
    with serving(old) as server:
        exchange = ask(server, ca="ca")
        assert ask(server, ca="ca", verify=False).body == b"abc"
    assert (exchange.error, exchange.sent_ns) == ("connect", 0)
    assert "certificate has expired" in exchange.text


def test_a_certificate_of_another_name_is_refused_unless_that_name_is_asked_for(serving, ask, authority):
    with serving(authority.issue_cert("model.example")) as server:
        refused = ask(server, ca="ca")
        taken = ask(server, ca="ca", server_name="model.example")
    assert (refused.error, taken.body) == ("connect", b"abc")
    assert "not valid for '127.0.0.1'" in refused.text


def test_a_port_without_tls_is_told_so(scripted, ask, answer_all):
    with scripted(lambda line: line.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")) as server:
        exchange = ask(server, ca="ca")
    assert exchange.error == "connect"
    assert "http://" in exchange.text


def test_a_port_with_tls_is_told_so_where_plain_http_was_spoken(serving, ask):
    with serving() as server:
        exchange = ask(server, scheme="http")
    assert exchange.error in {"invalid", "reset"}


def test_a_body_larger_than_the_sockets_room_is_written_whole(scripted, authority, opened, send):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    asked = threading.Event()
    body = bytes(range(256)) * 120_000  # 30 MB

    def script(line):
        assert asked.wait(10)  # the kernel's room is full by then
        while line.request():
            line.send(OK)

    with scripted(script, context=context) as server:
        url = server.url.replace("http:", "https:")
        client = opened(endpoint_of(url, allow=AllowList(), tls=Tls(verify=False)), 10.0)
        sending = gevent.spawn(send, client, Request("POST", "/", body, (), stream=False))
        gevent.sleep(0.1)
        asked.set()
        exchange = sending.get(timeout=20)
    assert (exchange.error, exchange.body) == ("", b"abc")
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


def test_an_answer_before_a_large_body_was_read_is_the_answer(scripted, authority, opened, send):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    over = threading.Event()

    def script(line):
        line.socket.recv(1)
        line.send(OK.replace(b"200 OK", b"413 Too Large"))
        over.wait(10)  # and never reads the rest

    with scripted(script, context=context) as server:
        url = server.url.replace("http:", "https:")
        client = opened(endpoint_of(url, allow=AllowList(), tls=Tls(verify=False)))
        exchange = send(client, Request("POST", "/", bytes(32_000_000), (), stream=False))
        over.set()
    assert (exchange.error, exchange.status, exchange.body) == ("", 413, b"abc")


def test_a_handshake_that_never_ends_is_given_up_in_time(scripted, opened, files, send):
    with scripted(lambda line: line.until_closed()) as server:
        tls = Tls(ca=FileRef(sha256="ca", size_bytes=1, name="ca.pem"))
        endpoint = endpoint_of(f"https://127.0.0.1:{server.port}", allow=AllowList(), tls=tls, files=files)
        began_s = time.monotonic()
        exchange = send(opened(endpoint, 0.3))
        took_s = time.monotonic() - began_s
    assert (exchange.error, exchange.sent_ns) == ("connect", 0)
    assert exchange.text == f"TLS with 127.0.0.1:{server.port}: no answer within 0.3 s"
    assert took_s < 3 * 0.3 + 0.5


def test_proxies_of_the_environment_are_not_asked(scripted, client_of, answer_all, send, monkeypatch):
    with scripted(answer_all(OK)) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with scripted(answer_all(OK)) as server:
            exchange = send(client_of(server))
            assert len(server.requests) == 1
        assert (exchange.body, proxy.lines) == (b"abc", [])
