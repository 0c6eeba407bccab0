"""Protocol Buffers' wire format, as far as inference messages need it: write fields, walk through fields.

Source: Protocol Buffers documentation, Encoding.
"""

import struct
from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
DELIMITED: Final = 2
FIXED32: Final = 5

MAX_VARINT_BYTES: Final = 10
_UNSIGNED = (1 << 64) - 1
_SIZES = {FIXED64: 8, FIXED32: 4}

Field = tuple[int, int, int | bytes]
"""(its number, its wire type, its value: a number where it is a varint, else its bytes)."""


class WireError(ValueError):
    """The bytes are no message; says why."""


def varint(value: int) -> bytes:
    """An integer in base 128; a negative one as int64 in ten bytes."""
    value &= _UNSIGNED
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A field of an integer or boolean."""
    return varint(field << 3 | VARINT) + varint(value)


def double(field: int, value: float) -> bytes:
    """A field of a double."""
    return varint(field << 3 | FIXED64) + struct.pack("<d", value)


def delimited(field: int, value: bytes) -> bytes:
    """A field of bytes, of a text in UTF-8, of a message, or of packed numbers."""
    return varint(field << 3 | DELIMITED) + varint(len(value)) + value


def fields(data: bytes) -> Iterator[Field]:
    """Walk through a message's fields, in order; unknown ones too. Raises WireError."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint_at(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _varint_at(data, at)
            yield tag >> 3, kind, value
            continue
        if kind == DELIMITED:
            size, at = _varint_at(data, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise WireError(f"a field of wire type {kind}")
        if at + size > end:
            raise WireError("it ends inside a field")
        yield tag >> 3, kind, data[at : at + size]
        at += size


def varints(data: bytes) -> list[int]:
    """Packed numbers, as unsigned 64 bit. Raises WireError."""
    found = []
    at, end = 0, len(data)
    while at < end:
        value, at = _varint_at(data, at)
        found.append(value)
    return found


def signed(value: int, *, bits: int = 64) -> int:
    """A varint read as int64, or as int32 with `bits` 32."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    """The varint at an offset, and where it ends."""
    try:
        first = data[at]
        if first < 0x80:
            return first, at + 1
        value, shift = first & 0x7F, 7
        for place in range(at + 1, at + MAX_VARINT_BYTES):
            byte = data[place]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & _UNSIGNED, place + 1
            shift += 7
    except IndexError:
        raise WireError("it ends inside a number") from None
    raise WireError("a number of more than ten bytes")
