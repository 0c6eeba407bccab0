"""One connection of a client to its target: HTTP/1.1 by hand, since clients here leave and dawdle."""

import asyncio
import errno
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

MOST_HEAD_BYTES = 64 * 1024
"""Of an answer; also the longest line that is read."""
MOST_BODY_BYTES = 64 * 1024 * 1024
"""An answer that does not end is left."""
_PIECE_BYTES = 64 * 1024
_STATUS: Final = re.compile(r"[1-5][0-9]{2}")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_CHUNK: Final = re.compile(r"[0-9a-fA-F]{1,15}")
_NO_BODY = frozenset({204, 304})
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""Descriptors, ports or memory that this host has not: nothing of the target's."""


class BrokenAnswerError(Exception):
    """What came is no HTTP/1.1 answer."""


@dataclass(slots=True)
class Connection:
    """An open connection, for one request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _status: int = 0
    _headers: dict[str, str] = field(default_factory=dict)

    async def send(self, data: bytes) -> None:
        """Write all of it; it is with the kernel when this returns."""
        self.writer.write(data)
        await self.writer.drain()

    def end_sending(self) -> None:
        """Say that nothing more will be sent, where the transport can say so."""
        if self.writer.can_write_eof():
            self.writer.write_eof()

    async def hears(self, within_s: float) -> bytes | None:
        """What the target says first; None where it is silent for so long, nothing where it has closed."""
        try:
            async with asyncio.timeout(within_s):
                return await self.reader.read(_PIECE_BYTES)
        except TimeoutError:
            return None

    async def status(self) -> int:
        """Read the answer's head; its status. Raises BrokenAnswerError."""
        while True:
            self._status, self._headers = await self._head()
            if self._status >= 200:
                return self._status

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, without transfer coding. Raises BrokenAnswerError."""
        if self._status in _NO_BODY:
            return
        if self._headers.get("transfer-encoding", "").lower() == "chunked":
            async for piece in self._chunks():
                yield piece
            return
        length = self._headers.get("content-length")
        if length is not None and not _LENGTH.fullmatch(length):
            raise BrokenAnswerError(f"{length[:80]!r} is no length of a body")
        left = None if length is None else int(length)
        while left is None or left > 0:
            piece = await self.reader.read(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES))
            if not piece:
                if left is not None:
                    raise asyncio.IncompleteReadError(b"", left)
                return
            left = None if left is None else left - len(piece)
            yield piece

    async def rest(self) -> None:
        """Read the body and throw it away. Raises BrokenAnswerError, for one that is longer too."""
        size_bytes = 0
        async for piece in self.pieces():
            size_bytes += len(piece)
            _refuse_beyond(MOST_BODY_BYTES, size_bytes)

    async def body(self, *, most_bytes: int) -> bytes:
        """Read the body. Raises BrokenAnswerError, for one that is longer too."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            _refuse_beyond(most_bytes, len(body))
        return bytes(body)

    def leave(self) -> None:
        """Close the connection at once; the kernel resets it where something has come that nobody read."""
        self.writer.transport.abort()

    async def _head(self) -> tuple[int, dict[str, str]]:
        words = (await self._line()).split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not _STATUS.fullmatch(words[1]):
            raise BrokenAnswerError(f"{' '.join(words)[:80]!r} is no status line")
        headers: dict[str, str] = {}
        size_bytes = 0
        while line := await self._line():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
            size_bytes += len(line)
            _refuse_beyond(MOST_HEAD_BYTES, size_bytes)
        return int(words[1]), headers

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = (await self._line()).partition(";")[0].strip()
            if not _CHUNK.fullmatch(line):
                raise BrokenAnswerError(f"{line[:80]!r} is no size of a chunk")
            left = int(line, 16)
            if left == 0:
                return
            while left:
                piece = await self.reader.read(min(left, _PIECE_BYTES))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(piece)
                yield piece
            await self._line()

    async def _line(self) -> str:
        try:
            line = await self.reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise BrokenAnswerError(f"a line of more than {MOST_HEAD_BYTES} bytes") from error
        return line.rstrip(b"\r\n").decode("latin-1")


def _refuse_beyond(most_bytes: int, size_bytes: int) -> None:
    if size_bytes > most_bytes:
        raise BrokenAnswerError(f"an answer of more than {most_bytes} bytes")


def status_in(head: bytes) -> int | None:
    """The status that the beginning of an answer tells; None where it is none."""
    words = head[:64].split(b" ", 2)
    answers = len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1][:3].isdigit()
    return int(words[1][:3]) if answers else None


def failure(error: Exception) -> str:
    """As what a visit counts that ended by this error: the target's doing, or what this host has not."""
    if isinstance(error, BrokenAnswerError):
        return "failed.invalid"
    if isinstance(error, TimeoutError):
        return "failed.timeout"
    if isinstance(error, ssl.SSLError):
        return "failed.tls"
    if isinstance(error, EOFError | ConnectionResetError | BrokenPipeError):
        return "failed.closed"
    return "withheld.host" if getattr(error, "errno", None) in _OURS else "failed.connect"
