"""Where a monitor is asked: secrets of this worker, its allow-list, TLS with an authority of one's own."""

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from workers.contract.errors import DataError, TargetRefusedError
from workers.contract.spec import FileRef, Tls
from workers.guard import SecretUnsetError
from workers.settings import parse
from workers.watching.contract import UnreadError
from workers.watching.fetch import fetch
from workers.watching.places import place_of


@pytest.fixture
def placed():
    """`placed(url, headers, tls)` on a worker that knows one secret; a file's sha256 is its path here."""
    settings = parse(["--name", "w"], {"SHAKEOUT_BROKER": "redis://127.0.0.1", "TOKEN": "s3cret"})

    def make(url, headers=None, tls=None):
        return place_of(
            url, headers or {}, tls, settings=settings, clock=time.time, local=lambda ref: Path(ref.sha256)
        )

    return make


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.headers.get("Authorization", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def secure(authority):
    """A server that speaks TLS as 127.0.0.1, and answers with the Authorization that it was shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority["here"], authority["here-key"])
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def file(path):
    return FileRef(path, 1, Path(path).name)


def test_an_authority_of_one_s_own_is_trusted_and_another_is_not(placed, secure, authority):
    headers = {"Authorization": "Bearer ${env:TOKEN}"}
    good = placed(secure, headers, Tls(ca=file(authority["ca"])))
    assert fetch(good, "/").body == b"Bearer s3cret"
    for tls in (None, Tls(ca=file(authority["other"]))):
        with pytest.raises(UnreadError, match=r"(?i)certificate.verify.failed"):
            fetch(placed(secure, headers, tls), "/")
    assert fetch(placed(secure, headers, Tls(verify=False)), "/").status == 200


def test_a_login_in_the_url_is_shown_to_the_server_and_to_nobody_else(placed, secure, authority):
    url = secure.replace("https://", "https://ada:p%40ss@")
    place = placed(url, None, Tls(ca=file(authority["ca"])))
    assert fetch(place, "/").body == b"Basic YWRhOnBAc3M="
    assert "p%40ss" not in place.shown + repr(place)


def test_what_cannot_be_used_is_refused_before_the_phase_begins(placed, tmp_path):
    with pytest.raises(SecretUnsetError, match="NOT_SET"):
        placed("http://127.0.0.1:9", {"A": "${env:NOT_SET}"})
    for url in ("http://192.0.2.1:9090", "ftp://127.0.0.1/"):
        with pytest.raises(TargetRefusedError):
            placed(url)
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(DataError, match=r"ca\.pem"):
        placed("https://127.0.0.1:9", None, Tls(ca=file(str(tmp_path / "ca.pem"))))


def test_a_name_that_leads_nowhere_now_may_do_so_later(placed):
    place = placed("http://nowhere.invalid:9090")
    with pytest.raises(UnreadError, match=r"nowhere\.invalid:9090"):
        fetch(place, "/")
