"""HTTP/1.1 cut into messages, requests or answers (RFC 9112 sections 2, 6 and 7)."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

from workers.proxy.part import MOST_HEAD_BYTES, Head, Part, StrangeError

REQUEST = re.compile(rb"([A-Z]{3,16}) (\S+) HTTP/1\.([01])\r?\n")
_ANSWER = re.compile(rb"HTTP/1\.([01]) (\d{3})")
_REQUEST_BEGINS = re.compile(rb"[A-Z]{1,16}(\Z| )")
_ANSWER_BEGINS = b"HTTP/1."
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}\Z")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_END = re.compile(rb"\r?\n\r?\n")
_Length = int | Literal["chunked", "close"]


class HttpReader:
    """One direction. `bodiless`: whether the answer that begins now belongs to a request without one (HEAD).

    None: these are requests.
    """

    def __init__(self, bodiless: Callable[[], bool] | None = None) -> None:
        self._bodiless = bodiless
        self._buffer = b""
        self._inside = False
        self._left: _Length = 0
        self._chunk_left = 0
        self._trailing = False

    @property
    def rest(self) -> bytes:
        """Bytes that are in no part yet."""
        return self._buffer

    def feed(self, data: bytes) -> Iterator[Part]:
        """Take more bytes, none at their end. Raises StrangeError; what it is about stays in `rest`."""
        self._buffer += data
        if not data and self._inside and self._left == "close":
            self._inside = False
            yield Part(b"", None, ends=True)
        while self._buffer:
            part = self._body() if self._inside else self._head()
            if part is None:
                return
            yield part

    def _head(self) -> Part | None:
        end = _END.search(self._buffer)
        if end is None:
            if len(self._buffer) > MOST_HEAD_BYTES or not self._may_begin():
                raise StrangeError
            return None
        raw = self._buffer[: end.end()]
        head, self._left = self._request(raw) if self._bodiless is None else self._answer(raw)
        self._buffer = self._buffer[end.end() :]
        self._inside = self._left != 0
        return Part(raw, head, ends=not self._inside)

    def _may_begin(self) -> bool:
        """Whether a message may begin so: what is no HTTP, TLS say, need not hold a line's end at all."""
        has_line = b"\n" in self._buffer
        if self._bodiless is None:
            return (REQUEST if has_line else _REQUEST_BEGINS).match(self._buffer) is not None
        if has_line:
            return _ANSWER.match(self._buffer) is not None
        return self._buffer.startswith(_ANSWER_BEGINS) or _ANSWER_BEGINS.startswith(self._buffer)

    def _request(self, raw: bytes) -> tuple[Head, _Length]:
        line = REQUEST.match(raw)
        if line is None:
            raise StrangeError
        fields = _fields(raw)
        close = "close" in fields.get("connection", "").lower() or line[3] == b"0"
        head = Head(line[1] + b" " + line[2] + b"\n", fields, line[1].decode(), last=close)
        if line[1] == b"CONNECT":
            raise StrangeError
        return head, _length(fields, default=0)

    def _answer(self, raw: bytes) -> tuple[Head, _Length]:
        line = _ANSWER.match(raw)
        if line is None:
            raise StrangeError
        assert self._bodiless is not None  # noqa: S101  # answers are read here
        status, fields = int(line[2]), _fields(raw)
        if status == 101:
            raise StrangeError
        interim = status < 200
        empty = interim or status in (204, 304) or self._bodiless()
        close = "close" in fields.get("connection", "").lower() or line[1] == b"0"
        head = Head(raw, fields, status=status, last=close, interim=interim)
        return head, 0 if empty else _length(fields, default="close")

    def _body(self) -> Part | None:
        if self._left == "chunked":
            return self._chunked()
        if self._left == "close":
            data, self._buffer = self._buffer, b""
            return Part(data, None, ends=False)
        assert isinstance(self._left, int)  # noqa: S101  # the other two are done with
        data, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(data)
        self._inside = self._left > 0
        return Part(data, None, ends=not self._inside)

    def _chunked(self) -> Part | None:
        if self._chunk_left:
            data, self._buffer = self._buffer[: self._chunk_left], self._buffer[self._chunk_left :]
            self._chunk_left -= len(data)
            return Part(data, None, ends=False)
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            if len(line) > MOST_HEAD_BYTES:
                raise StrangeError
            return None
        if self._trailing:
            self._buffer = rest
            self._inside = self._trailing = bool(line.strip())
            return Part(line + newline, None, ends=not self._inside)
        digits = line.partition(b";")[0].strip()
        if not _SIZE.match(digits):
            raise StrangeError
        size = int(digits, 16)
        self._buffer = rest
        self._chunk_left, self._trailing = (size + 2, False) if size else (0, True)
        return Part(line + newline, None, ends=False)


def _fields(raw: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in raw.decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


def _length(fields: dict[str, str], *, default: _Length) -> _Length:
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return "chunked"
    length = fields.get("content-length")
    if length is None:
        return default
    if not _LENGTH.match(length):
        raise StrangeError
    return int(length)
