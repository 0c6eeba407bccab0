"""One bounded request to a monitor or a metrics page: the address proved, the body and the time limited.

The allow-list is judged on the address that is connected to, as for load. No redirect is followed.
"""

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from workers.contract.errors import TargetRefusedError
from workers.engine.allow import AllowList
from workers.watching.contract import UnreadError

TIMEOUT_S = 2.0
"""Of a whole request: what takes longer is missed, and the next second is asked for."""
MOST_BYTES = 8 * 1024 * 1024
"""The rules of a large Prometheus are some MiB."""
ACCEPT = "application/json, text/plain;version=0.0.4;q=0.5"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """Where to ask: a base URL with its secrets filled in, header lines, and how TLS is spoken."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    allowed: AllowList
    clock: Callable[[], float]
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    @property
    def shown(self) -> str:
        """Its host and port, for people."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `sent_s`, `came_s`: common time around it; `date_s`: of its Date header, or None."""

    status: int
    body: bytes
    sent_s: float
    came_s: float
    date_s: float | None


def fetch(place: Place, path: str, *, method: str = "GET", body: bytes | None = None) -> Reply:
    """Ask `path` below the place's URL. Raises UnreadError for whatever is no answer with status 2xx."""
    until = time.monotonic() + TIMEOUT_S
    connection = _connected(place)
    # who sends a byte now and then keeps every single read in time: the whole is cut off
    cut = threading.Timer(max(0.0, until - time.monotonic()), _cut, (connection.sock,))
    cut.daemon = True
    cut.start()
    try:
        answer, content, sent_s, came_s = _exchange(connection, place, path, method=method, body=body)
    except (OSError, http.client.HTTPException) as error:
        late = time.monotonic() > until
        raise UnreadError(f"{place.shown}: {_late() if late else _words(error)}") from error
    finally:
        cut.cancel()
        connection.close()
    if time.monotonic() > until:  # what looks whole may have been cut off
        raise UnreadError(f"{place.shown}: {_late()}")
    if not 200 <= answer.status < 300:
        said = content[:200].decode("utf-8", "replace").strip()
        asked = f"{method} {path.partition('?')[0]}"
        raise UnreadError(f"{place.shown} answered {asked} with {answer.status}: {said}")
    return Reply(answer.status, content, sent_s, came_s, _date_s(answer.headers.get("Date")))


def _exchange(
    connection: http.client.HTTPConnection, place: Place, path: str, *, method: str, body: bytes | None
) -> tuple[http.client.HTTPResponse, bytes, float, float]:
    """The answer, its body, and common time before the request and after the answer's head."""
    headers = {"Accept": ACCEPT, **_login(place.url), **place.headers}
    headers |= {"Content-Type": "application/json"} if body is not None else {}
    sent_s = place.clock()
    connection.request(method, f"{urlsplit(place.url).path.rstrip('/')}{path}", body=body, headers=headers)
    answer = connection.getresponse()
    came_s = place.clock()
    return answer, _read(answer, place), sent_s, came_s


def _cut(stream: socket.socket) -> None:
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


def _late() -> str:
    return f"no whole answer within {TIMEOUT_S:g} s"


def _login(url: str) -> dict[str, str]:
    """The header line for a name and password that stand in the URL."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def addresses(place: Place) -> list[str]:
    """Where one may connect to for it. Raises TargetRefusedError, OSError where its name leads nowhere."""
    parts = urlsplit(place.url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return place.allowed.permitted(host, port, addresses=list(dict.fromkeys(str(one[4][0]) for one in found)))


def _connected(place: Place) -> http.client.HTTPConnection:
    parts = urlsplit(place.url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    try:
        stream = socket.create_connection((addresses(place)[0], port), timeout=TIMEOUT_S)
    except TargetRefusedError as error:
        raise UnreadError(str(error)) from error
    except OSError as error:
        raise UnreadError(f"{place.shown}: {_words(error)}") from error
    try:
        if place.tls is not None:
            stream = place.tls.wrap_socket(stream, server_hostname=place.server_name or host)
    except OSError as error:
        stream.close()
        raise UnreadError(f"{place.shown}: {_words(error)}") from error
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    connection.sock = stream
    return connection


def _read(answer: http.client.HTTPResponse, place: Place) -> bytes:
    """The body, bounded in size."""
    parts: list[bytes] = []
    size_bytes = 0
    while chunk := answer.read1(64 * 1024):
        parts.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > MOST_BYTES:
            raise UnreadError(f"{place.shown}: the answer has more than {MOST_BYTES} bytes")
    return b"".join(parts)


def _date_s(text: str | None) -> float | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
