"""HTTP/1.1 as the demo target speaks it: bytes to requests, bounded, and the heads of answers."""

import http
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_HEAD_BYTES = 32 * 1024  # beyond it 431
MAX_BODY_BYTES = 16 * 1024 * 1024  # beyond it 413
MAX_CHUNK_LINE_BYTES = 256  # size of a chunk and its extensions
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {status.value: status.phrase for status in http.HTTPStatus}


class BadRequestError(Exception):
    """Bytes that are no request this server reads; `status` is what to answer before closing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole. Header names are in lower case, repeated ones joined by a comma."""

    method: str
    path: str  # without the query
    headers: Mapping[str, str]
    body: bytes
    version: str  # HTTP/1.1 or HTTP/1.0

    @property
    def keep_alive(self) -> bool:
        """Whether the client means to send another request on this connection."""
        return self.version == "HTTP/1.1" and self.headers.get("connection", "").lower() != "close"


@dataclass(slots=True)
class Reader:
    """Puts requests together from the pieces that a socket delivers."""

    _buffer: bytearray = field(default_factory=bytearray)
    _head: Request | None = None  # its body is still to come
    _left: int = 0  # body bytes still to come; -1: chunked
    _body: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Add what the socket delivered."""
        self._buffer += data

    @property
    def held_bytes(self) -> int:
        """Bytes that no finished request has taken yet."""
        return len(self._buffer) + len(self._body)

    @property
    def head(self) -> Request | None:
        """The request whose body is still to come, None between requests."""
        return self._head

    @property
    def awaits_body(self) -> bool:
        """Whether a head is complete that asks `100 Continue` before its body."""
        head = self._head
        return head is not None and head.headers.get("expect", "").lower() == "100-continue"

    def next(self) -> Request | None:
        """Return the next whole request, None until it is; raises BadRequestError on bytes that are none."""
        if self._head is None and not self._read_head():
            return None
        complete = self._read_chunks() if self._left < 0 else self._read_counted()
        head = self._head
        if not complete or head is None:
            return None
        body, self._head, self._body = bytes(self._body), None, bytearray()
        return Request(head.method, head.path, head.headers, body, head.version)

    def _read_head(self) -> bool:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112 section 2.2: blank lines before a request
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                raise BadRequestError(431, f"the request's head is over {MAX_HEAD_BYTES} bytes")
            return False
        self._head = _parse_head(self._buffer[:end].decode("latin-1"))
        del self._buffer[: end + 4]
        self._left = _body_length(self._head.headers)
        return True

    def _read_counted(self) -> bool:
        taken = self._buffer[: self._left]
        self._body += taken
        self._left -= len(taken)
        del self._buffer[: len(taken)]
        return self._left == 0

    def _read_chunks(self) -> bool:
        """Take whole chunks; True once the last one and its trailer have come."""
        at = 0
        while (line := self._buffer.find(b"\r\n", at)) >= 0:
            size = _chunk_size(self._buffer[at:line])
            if size == 0:
                end = self._buffer.find(b"\r\n\r\n", line)
                if end >= 0:
                    del self._buffer[: end + 4]
                    return True
                break
            if len(self._body) + size > MAX_BODY_BYTES:
                raise BadRequestError(413, f"the body is over {MAX_BODY_BYTES} bytes")
            if len(self._buffer) < line + 2 + size + 2:
                break
            self._body += self._buffer[line + 2 : line + 2 + size]
            at = line + 2 + size + 2
            if self._buffer[at - 2 : at] != b"\r\n":
                raise BadRequestError(400, "a chunk does not end where its size says")
        del self._buffer[:at]
        if len(self._buffer) > MAX_BODY_BYTES + MAX_HEAD_BYTES:
            raise BadRequestError(413, "a chunk's line or trailer does not end")
        return False


def head(
    *,
    status: int,
    content_type: str,
    length: int | None,
    keep_alive: bool,
    more: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Head of an answer; `length` None means chunks on a kept connection, else the body ends with it."""
    if length is not None:
        framing = f"content-length: {length}\r\n"
    else:
        framing = "transfer-encoding: chunked\r\n" if keep_alive else ""
    closing = "" if keep_alive else "connection: close\r\n"
    reason = _REASONS.get(status, "")
    lines = "".join([f"{name}: {value}\r\n" for name, value in more])
    text = f"HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\n{lines}{framing}{closing}\r\n"
    return text.encode("ascii")


def chunk(data: bytes) -> bytes:
    """Wrap `data` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def _parse_head(text: str) -> Request:
    first, *lines = text.split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError(400, f"{first[:80]!r} is no request line of HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, f"{line[:80]!r} is no header")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(words[0], words[1].partition("?")[0], headers, b"", words[2])


def _body_length(headers: Mapping[str, str]) -> int:
    """Bytes of the body, -1 for a chunked one."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise BadRequestError(400, "both Content-Length and Transfer-Encoding are given")
        if coding.lower() != "chunked":
            raise BadRequestError(501, f"transfer coding {coding[:80]!r} is not known here, only chunked")
        return -1
    if length is None:
        return 0
    if not (length.isascii() and length.isdecimal()):
        raise BadRequestError(400, f"Content-Length {length[:80]!r} is no number")
    if len(length) > 18 or int(length) > MAX_BODY_BYTES:
        raise BadRequestError(413, f"the body is over {MAX_BODY_BYTES} bytes")
    return int(length)


def _chunk_size(line: bytearray) -> int:
    digits = bytes(line).partition(b";")[0].strip()
    if len(line) > MAX_CHUNK_LINE_BYTES or not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadRequestError(400, f"{bytes(line[:80])!r} is no size of a chunk")
    return int(digits, 16)
