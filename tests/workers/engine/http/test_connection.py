"""Connecting: failures in plain words and bounded time, IPv6, TLS."""

import resource
import socket
import ssl
import subprocess
import threading
import time

import gevent
import pytest

from workers.contract.errors import EngineError, TargetRefusedError
from workers.contract.spec import FileRef, Tls
from workers.engine import connection, ready
from workers.engine.allow import AllowList
from workers.engine.endpoint import Endpoint, endpoint_of, header_block
from workers.protocols.contract import Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
GET = Request("GET", "/", b"", (), stream=False)


def send(client):
    return client.send(GET, b"host: h\r\n", authorised=lambda: True)


def answer_all(line):
    while line.request():
        line.send(OK)


def test_a_refused_connection_is_said_in_plain_words(opened, deaf_port):
    exchange = send(opened(Endpoint("127.0.0.1", deaf_port), 1.0))
    assert (exchange.error, exchange.text) == ("connect", f"connection refused at 127.0.0.1:{deaf_port}")
    assert exchange.sent_ns == 0
    assert exchange.last_ns > 0
    assert exchange.connect_ns > 0


def test_a_name_that_cannot_be_resolved_is_a_failure_to_connect(opened):
    exchange = send(opened(Endpoint("a" * 70 + ".invalid", 80), 1.0))
    assert exchange.error == "connect"
    assert exchange.text.startswith("cannot resolve aaa")


def test_a_name_is_resolved_and_each_of_its_addresses_tried(scripted, opened):
    with scripted(answer_all) as server:
        client = opened(Endpoint("localhost", server.port), 2.0)
        assert send(client).body == b"abc"
        assert send(client).reused


@pytest.fixture
def resolves(monkeypatch):
    """`resolves(*addresses)`: what each name leads to from now on."""

    def to(*addresses: str) -> None:
        found = [(0, 0, 0, "", (address, 0)) for address in addresses]
        monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_, **__: found)

    return to


def test_of_a_names_addresses_only_those_on_the_list_are_connected_to(scripted, opened, resolves):
    with scripted(answer_all) as server:
        client = opened(Endpoint("chat.internal", server.port), 2.0)
        resolves("0.0.0.0", "::1")  # by the first one Linux would reach this server, by the second nobody
        exchange = send(client)
        assert (exchange.error, server.lines) == ("connect", [])
        assert "0.0.0.0" not in exchange.text
    with scripted(answer_all) as server:
        resolves("0.0.0.0", "127.0.0.1")
        assert send(opened(Endpoint("chat.internal", server.port), 2.0)).body == b"abc"


def test_a_name_that_leads_elsewhere_later_is_judged_again(scripted, opened, resolves, monkeypatch):
    monkeypatch.setattr(connection, "RESOLVED_FOR_NS", 0)

    def once(line):
        line.request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with scripted(once) as server:
        client = opened(Endpoint("chat.internal", server.port), 2.0)
        resolves("127.0.0.1")
        assert send(client).status == 200
        resolves("192.0.2.1")
        with pytest.raises(TargetRefusedError, match=r"chat\.internal:\d+ \(192\.0\.2\.1\) is not on"):
            send(client)


def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_what_it_is(scripted, opened, resolves):
    with scripted(answer_all) as server:
        for address, allowed in (("::ffff:127.0.0.1", True), ("::ffff:0.0.0.0", False), ("::", False)):
            resolves(address)
            client = opened(Endpoint("chat.internal", server.port), 2.0)
            if allowed:
                assert send(client).body == b"abc"
            else:
                with pytest.raises(TargetRefusedError):
                    send(client)
        assert len(server.requests) == 1


def test_a_redirect_is_an_answer_and_is_never_followed(scripted, opened):
    with scripted(answer_all) as other:
        location = f"HTTP/1.1 302 Found\r\nLocation: {other.url}/\r\nContent-Length: 0\r\n\r\n".encode()

        def redirect(line):
            while line.request():
                line.send(location)

        with scripted(redirect) as server:
            endpoint = Endpoint("127.0.0.1", server.port)
            assert send(opened(endpoint, 2.0)).status == 302
            assert ready.ask(endpoint, headers_block=b"host: h\r\n") is None
            assert len(server.requests) == 2
        assert other.lines == []


def test_a_server_that_accepts_no_more_is_given_up_in_time(opened):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(3):  # what the backlog holds; later ones stay without an answer
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            waiting.append(sock)
        began_s = time.monotonic()
        exchange = send(opened(Endpoint(*address), 0.3))
        took_s = time.monotonic() - began_s
        for sock in waiting:
            sock.close()
    assert exchange.error == "connect"
    assert exchange.text == f"no answer within 0.3 s at 127.0.0.1:{address[1]}"
    assert 0.29 < took_s < 2


def test_a_connection_that_was_made_while_the_engine_stood_still_is_in_time(opened):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        listener.settimeout(20)
        held = [socket.socket() for _ in range(3)]  # what the backlog holds
        for sock in held:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())

        def stand_still():
            for _ in range(4):  # the last one is the client's: the kernel asks again after a second
                held.append(listener.accept()[0])

        gevent.spawn_later(0.05, stand_still)
        exchange = send(opened(Endpoint(*listener.getsockname()), 0.3))
        for sock in held:
            sock.close()
    assert exchange.sent_ns > 0
    assert exchange.connect_ns > 0.5e9
    assert exchange.error in {"timeout", "reset"}


def test_running_out_of_descriptors_is_not_the_targets_doing(scripted, opened):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with scripted(answer_all) as server:
        client = opened(endpoint_of(server.url, allow=AllowList()), 1.0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # those of stdin to stderr are taken
        try:
            exchange = send(client)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (exchange.error, exchange.sent_ns) == ("exhausted", 0)
        assert "too many open files" in exchange.text
        assert send(client).error == ""


def test_a_name_that_cannot_be_looked_up_for_want_of_descriptors_is_not_the_targets_doing(opened):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = opened(Endpoint("a-name-of-no-file.example", 80), 5.0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        exchange = send(client)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (exchange.error, exchange.sent_ns) == ("exhausted", 0)
    assert exchange.text.startswith("cannot resolve a-name-of-no-file.example: ")


def test_a_target_on_ipv6_is_reached(scripted, opened):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback on this machine: {error}")
    with scripted(answer_all, host="::1") as server:
        endpoint = endpoint_of(server.url, allow=AllowList())
        assert endpoint.authority == f"[::1]:{server.port}"
        assert send(opened(endpoint, 1.0)).body == b"abc"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Certificate and key for localhost and 127.0.0.1, signed by itself: (path, path)."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    try:
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("no openssl binary on this machine to make a certificate with")
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.fixture
def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def ref(name):
    return FileRef(sha256=name, size_bytes=1, name=f"{name}.pem")


@pytest.fixture
def tls_client(opened, certificate):
    files = {"ca": certificate[0], "cert": certificate[0], "key": certificate[1]}

    def of(server, **options):
        url = f"https://127.0.0.1:{server.port}"
        return opened(endpoint_of(url, allow=AllowList(), tls=Tls(**options), files=files), 2.0)

    return of


def test_tls_with_the_targets_own_authority_works_and_the_connection_is_kept(
    scripted, tls_client, server_context
):
    with scripted(answer_all, context=server_context) as server:
        client = tls_client(server, ca=ref("ca"))
        first, second = send(client), send(client)
        assert len(server.lines) == 1
    assert (first.error, first.body, first.text) == ("", b"abc", "")
    assert first.connect_ns > 0
    assert (second.error, second.reused, second.connect_ns) == ("", True, 0)


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_verify_is_off(
    scripted, tls_client, server_context
):
    with scripted(answer_all, context=server_context) as server:
        refused = send(tls_client(server))
        taken = send(tls_client(server, verify=False))
    assert (refused.error, refused.sent_ns) == ("connect", 0)
    assert refused.text == f"TLS with 127.0.0.1:{server.port}: certificate refused: self-signed certificate"
    assert taken.body == b"abc"


def test_the_server_name_is_what_the_certificate_is_checked_against(scripted, tls_client, server_context):
    with scripted(answer_all, context=server_context) as server:
        right = send(tls_client(server, ca=ref("ca"), server_name="localhost"))
        wrong = send(tls_client(server, ca=ref("ca"), server_name="other.example"))
    assert right.body == b"abc"
    assert wrong.error == "connect"
    assert "other.example" in wrong.text


def test_a_target_that_wants_a_client_certificate_gets_it(scripted, tls_client, certificate, server_context):
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_verify_locations(certificate[0])
    with scripted(answer_all, context=server_context) as server:
        with_it = send(tls_client(server, ca=ref("ca"), cert=ref("cert"), key=ref("key")))
        without = send(tls_client(server, ca=ref("ca")))
    assert with_it.body == b"abc"
    assert without.error in {"connect", "reset"}


def test_a_tls_connection_that_ended_while_idle_is_noticed_before_use(scripted, tls_client, server_context):
    idle = threading.Event()

    def script(line):
        line.request()
        line.send(OK)
        assert idle.wait(5)

    with scripted(script, context=server_context) as server:
        client = tls_client(server, ca=ref("ca"))
        send(client)
        idle.set()
        assert server.over.wait(5)
        exchange = send(client)
    assert (exchange.error, exchange.reused) == ("", False)


def test_a_server_without_tls_is_said_in_plain_words(scripted, tls_client):
    with scripted(lambda line: line.send(b"HTTP/1.1 400 Bad\r\n\r\n")) as server:
        exchange = send(tls_client(server, ca=ref("ca")))
    assert exchange.error == "connect"
    assert exchange.text.startswith(f"TLS with 127.0.0.1:{server.port}: ")


@pytest.mark.parametrize(
    "url", ["ftp://h", "h:80", "http://", "http://u:p@h", "http://h:99999", "https://" + "ü" * 70]
)
def test_a_url_that_cannot_be_used_is_refused_in_words(url):
    with pytest.raises(EngineError, match="target") as caught:
        endpoint_of(url, allow=AllowList())
    assert "u:p" not in str(caught.value)


def test_a_missing_tls_file_is_named():
    with pytest.raises(EngineError, match=r"ca\.pem"):
        endpoint_of("https://h", allow=AllowList(), tls=Tls(ca=ref("ca")), files={"ca": "missing.pem"})


@pytest.mark.parametrize(
    ("url", "port", "authority", "prefix"),
    [
        ("http://h", 80, "h", ""),
        ("https://H:443/v1", 443, "h", ""),
        ("https://h:8443/api/v1/", 8443, "h:8443", "/api"),
        ("http://[::1]:80/v1", 80, "[::1]", ""),
        ("http://bücher.example:8000", 8000, "xn--bcher-kva.example:8000", ""),
    ],
)
def test_a_url_is_read_into_its_parts(url, port, authority, prefix):
    endpoint = endpoint_of(url, allow=AllowList())
    assert (endpoint.port, endpoint.authority, endpoint.prefix) == (port, authority, prefix)


@pytest.mark.parametrize(
    "headers", [{"a": "b\r\nc: d"}, {"a b": "c"}, {"": "x"}, {"Host": "x"}, {"Content-Length": "1"}]
)
def test_a_header_that_would_break_the_request_apart_is_refused_without_its_value(headers):
    with pytest.raises(EngineError, match="header") as caught:
        header_block(Endpoint("h", 80), headers)
    assert "c: d" not in str(caught.value)


def test_compression_is_never_asked_for():
    block = header_block(Endpoint("h", 80), {"Accept-Encoding": "gzip", "User-Agent": "mine"})
    assert block == b"host: h\r\nuser-agent: mine\r\naccept-encoding: identity\r\n"
