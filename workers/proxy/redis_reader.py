"""The Redis protocol cut into commands or replies: RESP2 and RESP3, pipelined or not, inline commands too.

Source: the Redis serialization protocol specification (RESP).
"""

import re
from collections.abc import Iterator

from workers.proxy.part import MOST_HEAD_BYTES, Head, Part, StrangeError

_SIMPLE = b"+-:_#,("
_BULK = b"$=!"
_MANY = b"*~>"
_PAIRS = b"%|"
_TYPED = re.compile(rb"[!-~]")  # how a command that is typed begins


class RedisReader:
    """One direction; `commands`: what clients send, else replies."""

    def __init__(self, *, commands: bool) -> None:
        self._commands = commands
        self._buffer = b""
        self._todo = 0
        self._skip = 0

    @property
    def rest(self) -> bytes:
        """Bytes that are in no part yet."""
        return self._buffer

    def feed(self, data: bytes) -> Iterator[Part]:
        """Take more bytes; as much of each message as is there. Raises StrangeError; see `rest` then."""
        self._buffer += data
        while self._buffer:
            head = self._begin() if not self._todo else None
            used, strange = self._far()
            if used:
                data, self._buffer = self._buffer[:used], self._buffer[used:]
                yield Part(data, head, ends=not self._todo)
            elif head is not None:
                self._todo = 0
            if strange:
                raise StrangeError
            if not used:
                return

    def _begin(self) -> Head:
        """Begin a message. Raises StrangeError for what none begins with, TLS say: no line's end may come."""
        kind = self._buffer[:1]
        known = _TYPED.match(kind) if self._commands else kind in _SIMPLE + _BULK + _MANY + _PAIRS
        if not known:
            raise StrangeError
        self._todo = 1
        return Head(interim=kind == b">")

    def _far(self) -> tuple[int, bool]:
        """How many bytes of this message are there, up to a piece's end; whether it cannot be read then."""
        used = 0
        try:
            while self._todo and (step := self._step(used)):
                used += step
        except StrangeError:
            return used, True
        return used, False

    def _step(self, place: int) -> int:
        """How many bytes the next piece has; 0 where it is not there yet."""
        if self._skip:
            used = min(self._skip, len(self._buffer) - place)
            self._skip -= used
            if not self._skip:
                self._todo -= 1
            return used
        if self._commands and not place and self._todo == 1 and self._buffer[:1] not in (b"*", b"$"):
            return self._typed()
        end = self._buffer.find(b"\r\n", place)
        if end < 0:
            if len(self._buffer) - place > MOST_HEAD_BYTES:
                raise StrangeError
            return 0
        self._count(self._buffer[place : place + 1], self._buffer[place + 1 : end])
        return end + 2 - place

    def _typed(self) -> int:
        """The size of an inline command; its line may end as a person types it."""
        end = self._buffer.find(b"\n") + 1
        if not end and len(self._buffer) > MOST_HEAD_BYTES:
            raise StrangeError
        self._todo = 0 if end else 1
        return end

    def _count(self, kind: bytes, rest: bytes) -> None:
        """What the line that begins with `kind` makes of what is still to come."""
        if kind in _SIMPLE:
            self._todo -= 1
            return
        try:
            number = int(rest) if kind in _BULK + _MANY + _PAIRS else 0
        except ValueError as error:
            raise StrangeError from error
        if kind in _BULK:
            if number < 0:
                self._todo -= 1
            else:
                self._skip = number + 2
        elif kind in _MANY:
            self._todo += max(0, number) - 1
        elif kind == b"%":
            self._todo += 2 * max(0, number) - 1
        elif kind == b"|":
            self._todo += 2 * max(0, number)
        else:
            raise StrangeError


def words_of(raw: bytes) -> list[bytes]:
    """The words of one whole command."""
    if not raw.startswith(b"*"):
        return raw.split()
    found: list[bytes] = []
    place = raw.find(b"\r\n") + 2
    while place < len(raw):
        end = raw.find(b"\r\n", place)
        size = int(raw[place + 1 : end])
        found.append(raw[end + 2 : end + 2 + size])
        place = end + 2 + size + 2
    return found
