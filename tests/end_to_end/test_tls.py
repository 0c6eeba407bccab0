"""A campaign over TLS with a client's certificate, as a user runs it, and what is said where trust fails."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

PASS, INVALID = 0, 4


class Answering(http.server.BaseHTTPRequestHandler):
    """JSON to every request; the names of the certificates that clients showed are kept."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        shown = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        self.server.shown.append((shown or {}).get("subjectAltName"))  # type: ignore[attr-defined]
        self.server.tokens.append(self.headers.get("x-token"))  # type: ignore[attr-defined]
        self._answer()

    def _answer(self) -> None:
        body = b'{"fine": true}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


class Server(http.server.ThreadingHTTPServer):
    """Handshakes in the connection's own thread, so that a client that fails holds nobody up."""

    daemon_threads = True
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error of this server."""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serving(authority: trustme.CA) -> Iterator[Callable[..., Server]]:
    """Starts servers; with a certificate they speak TLS, with `clients` they want one that this CA signed."""
    started: list[Server] = []

    def start(certificate: Any = None, *, clients: trustme.CA | None = None) -> Server:
        server = Server(("127.0.0.1", 0), Answering)
        server.shown, server.tokens = [], []  # type: ignore[attr-defined]
        if certificate is not None:
            server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(server.context)
        if clients is not None and server.context is not None:
            server.context.verify_mode = ssl.CERT_REQUIRED
            clients.configure_trust(server.context)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def campaign(targets: dict[str, str], *, place_within: str) -> str:
    lines = "".join(
        f"  {name}: {{protocol: json-http, timeout: 5s, {keys}}}\n" for name, keys in targets.items()
    )
    loads = "".join(
        f"      - {{name: {name}, kind: load, target: {name}, shards: 1, duration: 1s, data: rows.jsonl,"
        f" arrivals: {{process: constant, rate: 10/s}}}}\n"
        for name in targets
    )
    return (
        f"campaign: trust\nseed: 1\nplace_within: {place_within}\n"
        "validity: {lag_p99: 2s, start_skew: 10s}\n"
        f"targets:\n{lines}phases:\n  - name: peak\n    activities:\n{loads}"
    )


def test_a_target_that_wants_a_clients_certificate_gets_it_and_its_headers(
    run, serving, authority, tmp_path: Path, monkeypatch
) -> None:
    client = authority.issue_cert("worker.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (tmp_path / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    server = serving(authority.issue_cert("model.example"), clients=authority)
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TOKEN", "hush-hush")
    keys = (
        f'url: "https://127.0.0.1:{server.server_address[1]}", headers: {{X-Token: "${{env:TOKEN}}"}}, '
        "tls: {ca: ca.pem, cert: cert.pem, key: key.pem, server_name: model.example}"
    )
    one = run(campaign({"safe": keys}, place_within="20s"), "--workers", "1")
    assert one.wait() == PASS, one.output
    counts = one.report()["activities"]["safe"]["requests"]
    assert counts["ok"] == counts["scheduled"] == len(server.shown) == 10
    assert set(server.shown) == {(("DNS", "worker.example"),)}
    assert set(server.tokens) == {"hush-hush"}
    told = "".join(path.read_text(errors="replace") for path in one.folder.rglob("*") if path.is_file())
    assert "hush-hush" not in told + one.output
    assert "BEGIN" not in told, "keys stay where they are"


def test_what_cannot_be_trusted_is_never_loaded_and_each_reason_is_said(
    run, serving, authority, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    servers = {
        "stranger": (serving(authority.issue_cert("127.0.0.1")), "tls: {ca: other.pem}"),
        "plain": (serving(), "tls: {ca: ca.pem}"),
    }
    targets = {
        name: f'url: "https://127.0.0.1:{server.server_address[1]}", {keys}'
        for name, (server, keys) in servers.items()
    }
    one = run(campaign(targets, place_within="12s"), "--workers", "1")
    assert one.wait() == INVALID, one.output
    said = " ".join(one.report()["reasons"])
    for words in (
        "target stranger: TLS with", "unable to get local issuer certificate",
        "target plain: ", "this port speaks no TLS; say http://",
    ):  # fmt: skip
        assert words in said, said
    assert [server.shown for server, _ in servers.values()] == [[], []]
