"""Where the requests of an engine go: address, TLS, and the header lines that never change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gevent import ssl

from workers.contract.errors import EngineError
from workers.contract.spec import TargetSpec, Tls
from workers.engine.allow import AllowList

_DEFAULT_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*\Z")
_OURS = frozenset({"host", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A target's host and port, what may be connected to there, and TLS if it is spoken (`context`).

    `prefix`: the URL's own path without a last `/` or `/v1`, for readiness.
    """

    host: str
    port: int
    allow: AllowList = field(default_factory=AllowList)
    context: ssl.SSLContext | None = None
    server_name: str | None = None
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Value of the Host header: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = _DEFAULT_PORTS["https" if self.context else "http"]
        return host if self.port == usual else f"{host}:{self.port}"


def endpoint_of(
    url: str, *, allow: AllowList, tls: Tls | None = None, files: Mapping[str, str] | None = None
) -> Endpoint:
    """Read a target's URL; `files` leads from the sha256 of TLS files to their paths on this machine.

    Raises EngineError where the URL or a TLS file cannot be used.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise EngineError(f"target url {url!r}: {error}; write http://HOST:PORT") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise EngineError(f"target url {url!r} is not http://HOST or https://HOST")
    if parts.username is not None:
        raise EngineError(
            f"the target url for {host} holds credentials; put them in `headers: Authorization`"
        )
    secure = parts.scheme == "https"
    return Endpoint(
        host=_ascii_name(host),
        port=port or _DEFAULT_PORTS[parts.scheme],
        allow=allow,
        context=tls_context(tls or Tls(), files=files or {}) if secure else None,
        server_name=tls.server_name if tls else None,
        prefix=parts.path.rstrip("/").removesuffix("/v1").rstrip("/"),
    )


def endpoint_for(target: TargetSpec, *, allow: AllowList, files: Mapping[str, str]) -> Endpoint:
    """Endpoint of a shard's target; see `endpoint_of`."""
    return endpoint_of(target.url, allow=allow, tls=target.tls, files=files)


def tls_context(tls: Tls, *, files: Mapping[str, str]) -> ssl.SSLContext:
    """Make the TLS settings of a target. Without `ca` the system's authorities are trusted.

    Raises EngineError where a file is missing or does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name unless told
    context.set_alpn_protocols(["http/1.1"])
    try:
        if tls.ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(files[tls.ca.sha256])
        if tls.cert is not None:
            context.load_cert_chain(files[tls.cert.sha256], files[tls.key.sha256] if tls.key else None)
    except (KeyError, OSError, ssl.SSLError) as error:
        names = ", ".join(ref.name for ref in (tls.ca, tls.cert, tls.key) if ref is not None)
        raise EngineError(f"cannot use the target's tls files ({names}): {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def header_block(endpoint: Endpoint, headers: Mapping[str, str]) -> bytes:
    """Header lines that every request of an engine carries: Host, the target's own, no compression.

    Names are lower-case, each line ends with CRLF; lines of one request (x-shakeout-id, traceparent) may
    follow. An `accept-encoding` of the target is replaced by identity: compression would hide when each
    token came.
    Raises EngineError, which names the header and never its value, where one would break the request apart.
    """
    lines = {"host": endpoint.authority, "user-agent": "shakeout"}
    for name, value in headers.items():
        if not _TOKEN.match(name) or not _VALUE.match(value):
            raise EngineError(f"header {name!r} of the target holds a character that no header may hold")
        if name.lower() in _OURS:
            raise EngineError(f"header {name!r} of the target is set by Shakeout; remove it from `headers`")
        lines[name.lower()] = value.strip()
    lines["accept-encoding"] = "identity"
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode()


def _ascii_name(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise EngineError(f"target host {host!r} is not a name that DNS can hold: {error}") from error
