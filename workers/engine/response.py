"""Read one HTTP/1.x answer from bytes as they come: llhttp, with only the callbacks that are needed.

Callbacks into Python cost more than the parsing, so header fields are not called back: the bytes of the head
are kept, and read only when somebody asks.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

MAX_HEAD_BYTES = 256 * 1024
"""Status line and headers, interim answers included; servers refuse far less of a client."""

_HTTP2_FRAMES = (b"\4", b"\7")
"""SETTINGS and GOAWAY, what a server of HTTP/2 begins with. Source: RFC 9113, sections 3.4 and 6."""

_TLS_RECORDS = (b"\x15", b"\x16")
"""Alert and handshake. Source: RFC 8446, section 5.1."""

_IGNORE: Callable[[Any], None] = deque[Any](maxlen=0).append
"""The cheapest callable that takes one argument, keeps nothing and returns None."""


class BrokenAnswerError(Exception):
    """The bytes are not an HTTP answer, or one beyond our bounds; says why."""


class Response(
    HTTPResponseParser
):  # llhttp's binding calls back by method name, so it has to be inherited from
    """One answer. `status` is set with its headers; `complete` with its last byte.

    `parts`: body bytes since the caller last took them. `keep`: the connection may carry another request.
    """

    __slots__ = (
        "_head",
        "_on_body",
        "_without_body",
        "complete",
        "headers_complete",
        "keep",
        "parts",
        "status",
    )

    _on_status = _IGNORE
    _on_header_field = _IGNORE
    _on_header_value = _IGNORE

    def __init__(self, *, without_body: bool) -> None:
        super().__init__()
        self.parts: list[bytes] = []
        self._on_body = self.parts.append
        self._without_body = without_body
        self._head = b""
        self.status = 0
        self.headers_complete = False
        self.complete = False
        self.keep = False

    def take(self, data: bytes) -> None:
        """Feed bytes from the socket; `b""` is its end. Raises BrokenAnswerError.

        Bytes after the answer's end are dropped, and the connection with them.
        """
        if not self.headers_complete:
            self._head += data
        try:
            self.feed(data)
        except (HTTPParseError, BrokenAnswerError) as error:
            if not self.complete:
                spoken = "" if self.headers_complete else _spoken(self._head)
                raise BrokenAnswerError(spoken or _words(error)) from None
            self.keep = False
        if not self.headers_complete and len(self._head) > MAX_HEAD_BYTES:
            raise BrokenAnswerError(f"headers over {MAX_HEAD_BYTES // 1024} KiB")

    def head(self) -> bytes:
        """Status line and headers of the final answer, as received, without the blank line."""
        raw, start = self._head, 0
        while (end := raw.find(b"\r\n\r\n", start)) >= 0:
            if raw[start + 9 : start + 10] != b"1":  # HTTP/1.1 1xx: an interim answer
                return raw[start:end]
            start = end + 4
        return raw[start:]

    def _on_message_begin(self) -> None:
        if self.complete:
            self.keep = False
            self._on_body = _IGNORE
            raise BrokenAnswerError("bytes after the end of the answer")

    def _on_headers_complete(self) -> bool:
        status = self.get_code()
        if status == 101:
            raise BrokenAnswerError("status 101, another protocol, which nobody asked for")
        if status >= 200:
            self.status = status
            self.headers_complete = True
        return self._without_body

    def _on_message_complete(self) -> None:
        if self.status:
            self.complete = True
            self.keep = self.should_keep_alive()


def _spoken(data: bytes) -> str:
    """Which other protocol these first bytes are; empty where none is known."""
    if data[3:4] in _HTTP2_FRAMES and data[5:9] == b"\0\0\0\0" and data[:2] == b"\0\0":
        return "it is HTTP/2: a gRPC port? Say protocol kserve-v2-grpc, or the port of its REST API"
    if data[:1] in _TLS_RECORDS and data[1:2] == b"\x03":
        return "it is TLS: say https:// in the target's url"
    return ""


def _words(error: Exception) -> str:
    """Say llhttp's reason: its errors carry (text, number)."""
    return str(error.args[0]) if error.args else str(error)
