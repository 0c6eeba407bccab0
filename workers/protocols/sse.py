"""Server-sent events: cut stamped pieces of a body into events, each with the time of its last byte.

Source: WHATWG HTML, section 9.2.6 (CR, LF and CRLF, comments, several data lines, a byte order mark). An
event belongs to the piece in which the last byte of its blank line came; one without it is discarded,
as the standard says, except a bare [DONE], whose meaning no further byte could change.
"""

import re
from collections.abc import Iterator

from workers.protocols.contract import Pieces

BOM = b"\xef\xbb\xbf"
DONE = b"[DONE]"

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")

Event = tuple[int, bytes, bytes]
"""(ns of its last byte, its data, its type: empty where it named none)."""


def events(chunks: Pieces) -> Iterator[Event]:
    """Yield the events that carry data, in order; how the body was cut changes only their times."""
    body = b"".join([piece for _, piece in chunks])
    start = len(BOM) if body.startswith(BOM) else 0
    last = len(chunks) - 1
    place = 0
    piece_end = len(chunks[0][1]) if chunks else 0
    for block, end in _blocks(body, start):
        while piece_end < end and place < last:
            place += 1
            piece_end += len(chunks[place][1])
        if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
            yield chunks[place][0], block[6:], b""
            continue
        kind, data = _read_block(block)
        if data is not None:
            yield chunks[place][0], data, kind


def _blocks(body: bytes, start: int) -> Iterator[tuple[bytes, int]]:
    """Each event's text without its blank line, and the offset just after that line."""
    if b"\r" in body:
        for match in _BLANK_LINE.finditer(body, start):
            yield body[start : match.start()], match.end()
            start = match.end()
        tail = body[start:]
    else:
        *whole, tail = body[start:].split(b"\n\n")
        for block in whole:
            start += len(block) + 2
            yield block, start
    if _read_block(tail)[1] == DONE:
        yield tail, len(body)


def _read_block(block: bytes) -> tuple[bytes, bytes | None]:
    """The type and the data of one event; data is None where it has no data line."""
    kind = b""
    data: list[bytes] = []
    for line in _LINE_END.split(block):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value
    return kind, b"\n".join(data) if data else None
