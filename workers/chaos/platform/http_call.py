"""One HTTP call to a platform's fault API: to an address on the allow-list, bounded in time and size."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from workers.chaos import references
from workers.chaos.commands import excerpt
from workers.chaos.contract import Scene
from workers.chaos.platform.listed import KEY
from workers.contract.errors import FaultError
from workers.engine.allow import parse_allow_list

if TYPE_CHECKING:
    import http.client

MOST_BYTES: Final = 64 * 1024
"""Read of an answer; what comes after is not looked at."""
_PORTS: Final = {"http": 80, "https": 443}


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request. `status`: the answers that are meant; none: what the step usually takes.

    `body`: a text as it is, anything else as JSON. `contains`: what the answer's body must hold besides.
    Secrets may stand in `headers` and `body`; `$SHAKEOUT_FAULT` in `url` and `body` names this one fault.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    headers: dict[str, str] = {}
    body: Any = None
    status: tuple[Annotated[int, msgspec.Meta(ge=100, le=599)], ...] = ()
    contains: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status, and the beginning of the body, without the secrets that were sent."""

    status: int
    body: str

    def words(self) -> str:
        """It, for a person."""
        said = excerpt(self.body)
        return f"answered {self.status}" + (f": {said}" if said else "")


def check_call(call: Call, *, option: str) -> None:
    """Refuse what cannot be an URL, or would show a secret. Raises FaultError."""
    if "${env:" in call.url or "${file:" in call.url:
        raise FaultError(
            f"{option}.url: no secret may stand in a URL, which logs show; put it into `headers`"
        )
    try:
        parts = urlsplit(call.url)
        sound = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise FaultError(f"{option}.url {call.url!r}: say for example http://platform.lab:8080/faults")


def place(call: Call) -> str:
    """Method and URL, for a person."""
    return f"{call.method} {call.url}"


def permitted(call: Call, scene: Scene) -> list[str]:
    """The addresses of the call's host that this worker allows. Raises TargetRefusedError, or FaultError."""
    parts = urlsplit(call.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FaultError(f"{place(call)}: host {host!r} leads to no address: {error}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    return parse_allow_list(scene.rules.allow_targets).permitted(host, port, addresses=addresses)


def send(call: Call, scene: Scene, *, within_s: float) -> Answer:
    """Send it, and read the answer; redirects are answers. Raises FaultError where none comes in time."""
    import http.client  # noqa: PLC0415  # a guardian starts in milliseconds, and few of them need it

    secret = {"headers": call.headers, "body": call.body}
    addresses = permitted(call, scene)
    parts = urlsplit(call.url.replace(KEY, scene.key))
    body, headers = _filled(call, scene)
    try:
        connection = _connected(parts, addresses, within_s)
        with _ended_after(within_s, connection):
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(call.method, target, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read(MOST_BYTES).decode("utf-8", "replace")
            return Answer(response.status, references.mask(text, secret, scene.rules.secrets))
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = references.mask(str(error) or type(error).__name__, secret, scene.rules.secrets)
        raise FaultError(f"{place(call)} was not answered within {within_s:g} s: {said}") from error


def _filled(call: Call, scene: Scene) -> tuple[bytes | None, dict[str, str]]:
    """The body and the headers, secrets and key in their places."""
    headers = {name: references.fill(value, scene.rules.secrets) for name, value in call.headers.items()}
    if call.body is None:
        return None, headers
    text = call.body if isinstance(call.body, str) else msgspec.json.encode(call.body).decode()
    if not isinstance(call.body, str) and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "application/json"
    return references.fill(text.replace(KEY, scene.key), scene.rules.secrets).encode(), headers


def _connected(parts: SplitResult, addresses: list[str], within_s: float) -> "http.client.HTTPConnection":
    """A connection to one of these very addresses: a name that changes in between gains nothing."""
    import http.client  # noqa: PLC0415

    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    connection = http.client.HTTPConnection(host, port, timeout=within_s)
    for address in addresses[:-1]:
        with suppress(OSError):
            connection.sock = socket.create_connection((address, port), within_s)
            break
    else:
        connection.sock = socket.create_connection((addresses[-1], port), within_s)
    if parts.scheme == "https":
        import ssl  # noqa: PLC0415

        context = ssl.create_default_context()
        connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
    return connection


@contextmanager
def _ended_after(within_s: float, connection: "http.client.HTTPConnection") -> Iterator[None]:
    """Shut the connection down when its time is over: an answer may come a byte at a time."""

    def shut() -> None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(within_s, shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()
