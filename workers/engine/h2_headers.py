"""Header lines of our calls as HTTP/2 wants them: HPACK without any state.

What we send is never put into the target's table: each request is whole by itself, and most of it is encoded
once. Source: RFC 7541 (HPACK), section 6.2; gRPC over HTTP2, Requests.
"""

from typing import Final
from urllib.parse import quote

from workers.protocols.contract import Request

MAX_KNOWN: Final = 256
"""Encoded blocks that are remembered; an activity has a handful that stay the same."""

_POST, _HTTP, _HTTPS = b"\x83", b"\x86", b"\x87"
_PATH, _AUTHORITY = b"\x04", b"\x01"
_LITERAL, _NEVER_INDEXED = b"\x00", b"\x10"
_SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization"})
_NOT_SENT = frozenset(
    {
        b"accept-encoding", b"connection", b"content-type", b"grpc-accept-encoding", b"grpc-encoding",
        b"grpc-timeout", b"host", b"keep-alive", b"proxy-connection", b"te", b"upgrade",
    }
)  # fmt: skip
"""Lines of HTTP/1 alone, and those that a call sets itself."""


class RequestHead:
    """Encodes the heads of calls to one authority; `timeout_s` becomes `grpc-timeout`."""

    __slots__ = ("_openings", "_scheme", "_tail")

    def __init__(self, authority: str, *, secure: bool, timeout_s: float) -> None:
        self._scheme = _HTTPS if secure else _HTTP
        self._tail = (
            _AUTHORITY
            + _text(authority.encode())
            + b"".join(
                _LITERAL + _text(name) + _text(value)
                for name, value in (
                    (b"te", b"trailers"),
                    (b"content-type", b"application/grpc"),
                    (b"grpc-timeout", timeout_value(timeout_s)),
                    (b"grpc-accept-encoding", b"identity"),
                )
            )
        )
        self._openings: dict[tuple[object, ...], bytes] = {}

    def encode(self, request: Request, headers_block: bytes, own_lines: bytes = b"") -> bytes:
        """The header block of a call, of lines as HTTP/1 writes them, each ended by CRLF."""
        key = (request.path, request.headers, headers_block)
        opening = self._openings.get(key)
        if opening is None:
            if len(self._openings) >= MAX_KNOWN:
                self._openings.clear()
            opening = self._openings[key] = self._opening(request, headers_block)
        return opening + _lines(own_lines) if own_lines else opening

    def _opening(self, request: Request, headers_block: bytes) -> bytes:
        path = quote(request.path, safe="/?&=%:@!$'()*+,;~[]|").encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers).encode()
        return _POST + self._scheme + _PATH + _text(path) + self._tail + _lines(headers_block + lines)


def timeout_value(timeout_s: float) -> bytes:
    """`grpc-timeout`: at most eight digits and a unit, never shorter than asked for."""
    for unit, per_s in ((b"u", 1_000_000), (b"m", 1_000), (b"S", 1)):
        count = -int(-timeout_s * per_s // 1)
        if count < 100_000_000:
            return b"%d" % count + unit
    return b"99999999S"


def _lines(block: bytes) -> bytes:
    """Lines of HTTP/1 as HPACK; those that HTTP/2 does not know, or that a call sets itself, are left out."""
    parts = []
    for line in block.split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if name and name not in _NOT_SENT:
            parts.append(
                (_NEVER_INDEXED if name in _SECRET else _LITERAL) + _text(name) + _text(value.strip())
            )
    return b"".join(parts)


def _text(value: bytes) -> bytes:
    """A string literal, not Huffman coded."""
    size = len(value)
    if size < 0x7F:
        return bytes((size,)) + value
    size -= 0x7F
    prefix = bytearray(b"\x7f")
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + value
