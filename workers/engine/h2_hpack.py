"""HPACK read fast: header blocks of a target, with the table that it may fill. Source: RFC 7541.

A library's decoder took half of a call's time where a target sends a dozen trailers. Its static table and its
Huffman code are used here, and tests hold this reader against the whole of it.
"""

from collections import deque
from typing import Final

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from workers.engine.h2_frames import BrokenFramesError

MAX_HEAD_BYTES: Final = 256 * 1024
"""Headers and trailers of one answer; servers refuse far less of a client."""
TABLE_BYTES: Final = 4096
"""The largest table that a target may fill: HTTP/2's own default, and we ask for no other."""
MAX_KNOWN: Final = 8
"""Blocks that are remembered, of each connection: those of a target that says the same again and again."""
ENTRY_BYTES: Final = 32
"""What the table's rules add to each entry's size."""

Pairs = list[tuple[str, str]]

_STATIC: Final = tuple(
    (name.decode("latin-1"), value.decode("latin-1")) for name, value in HeaderTable.STATIC_TABLE
)


class HeadReader:
    """Decodes the header blocks of one connection, in the order in which they came."""

    __slots__ = ("_known", "_limit", "_size", "_table")

    def __init__(self) -> None:
        self._table: deque[tuple[str, str]] = deque()
        self._size = 0
        self._limit = TABLE_BYTES
        self._known: dict[bytes, Pairs] = {}

    def read(self, block: bytes) -> Pairs:
        """Names and values (latin-1), pseudo-headers first. Raises BrokenFramesError.

        A block that leaves the table as it is means the same until another one changes it.
        """
        found = self._known.get(block)
        if found is not None:
            return found
        try:
            pairs, changed = self._read(block)
        except (IndexError, HPACKError) as error:
            raise BrokenFramesError(f"headers that cannot be decoded: {error}") from None
        if changed:
            self._known.clear()
        elif len(self._known) < MAX_KNOWN:
            self._known[block] = pairs
        return pairs

    def _read(self, block: bytes) -> tuple[Pairs, bool]:
        pairs: Pairs = []
        changed = False
        at, total = 0, 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _number(block, at, mask=0x7F)
                pair = self._entry(index)
            elif first & 0xE0 == 0x20:
                if pairs:
                    raise HPACKError("the table's size changes in the middle of a block")
                limit, at = _number(block, at, mask=0x1F)
                self._resize(limit)
                changed = True
                continue
            else:
                keep = bool(first & 0x40)
                index, at = _number(block, at, mask=0x3F if keep else 0x0F)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, at = _text(block, at)
                value, at = _text(block, at)
                pair = (name, value)
                if keep:
                    self._keep(pair)
                    changed = True
            pairs.append(pair)
            total += len(pair[0]) + len(pair[1]) + ENTRY_BYTES
            if total > MAX_HEAD_BYTES:
                raise HPACKError(f"they swell over {MAX_HEAD_BYTES // 1024} KiB")
        return pairs, changed

    def _entry(self, index: int) -> tuple[str, str]:
        if index == 0:
            raise HPACKError("a reference to entry 0")
        return _STATIC[index - 1] if index <= len(_STATIC) else self._table[index - len(_STATIC) - 1]

    def _keep(self, pair: tuple[str, str]) -> None:
        self._table.appendleft(pair)
        self._size += len(pair[0]) + len(pair[1]) + ENTRY_BYTES
        self._evict()

    def _resize(self, limit: int) -> None:
        if limit > TABLE_BYTES:
            raise HPACKError(f"a table of {limit} bytes, where {TABLE_BYTES} are allowed")
        self._limit = limit
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + ENTRY_BYTES


def _number(block: bytes, at: int, *, mask: int) -> tuple[int, int]:
    """An integer behind a prefix of as many bits as `mask` has, and where it ends."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise HPACKError("a number beyond 32 bits")


def _text(block: bytes, at: int) -> tuple[str, int]:
    """A string literal, Huffman coded or not, and where it ends."""
    coded = block[at] & 0x80
    size, at = _number(block, at, mask=0x7F)
    end = at + size
    if end > len(block):
        raise HPACKError("they end inside a text")
    raw = block[at:end]
    return (decode_huffman(raw) if coded else raw).decode("latin-1"), end
