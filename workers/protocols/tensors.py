"""Tensors of the Open Inference Protocol: their data flat, counted, and in the bytes of the binary extension.

Binary data are little-endian, row-major and without gaps. BYTES elements carry their length in 4 bytes before
them; BF16 is the upper half of a float32, rounded to the nearest, ties to even. Source: Triton, Binary Tensor
Data Extension; Open Inference Protocol, tensor data types.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Final

MAX_RANK = 32
"""Nested data deeper than this are refused: more than any framework's tensors have."""

_CODES: Final[Mapping[str, str]] = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H",
    "UINT32": "I", "UINT64": "Q", "FP16": "e", "FP32": "f", "FP64": "d", "BF16": "H",
}  # fmt: skip
DATATYPES: Final = (*_CODES, "BYTES")
_LENGTH = struct.Struct("<I")
_FLOAT = struct.Struct("<f")
_WORD = struct.Struct("<I")


class TensorError(ValueError):
    """Data that do not fit their tensor; says which datatype, and why."""


def flat(data: object) -> list[object]:
    """The elements in row-major order, of data that are flat, nested as the shape says, or one bare element.

    Raises TensorError where they are nested deeper than MAX_RANK.
    """
    if not isinstance(data, list):
        return [data]
    for _ in range(MAX_RANK):
        if not data or not isinstance(data[0], list):  # a look at all of them would double a load's cost
            return data
        data = [one for item in data for one in (item if isinstance(item, list) else [item])]
    raise TensorError(f"data are nested deeper than {MAX_RANK}")


def count_of(shape: Sequence[int]) -> int:
    """How many elements a shape has; 1 for an empty one. Raises TensorError for a size below 0."""
    if any(size < 0 for size in shape):
        raise TensorError(f"shape {list(shape)} has a size below 0")
    return math.prod(shape)


def packed(datatype: str, data: Sequence[object]) -> bytes:
    """Flat elements as bytes. Text of BYTES goes as UTF-8. Raises TensorError where they do not fit."""
    try:
        if datatype == "BYTES":
            items = [item.encode() if isinstance(item, str) else _octets(item) for item in data]
            return b"".join([part for item in items for part in (_LENGTH.pack(len(item)), item)])
        if datatype == "BOOL" and not all(item in (0, 1) for item in data):
            raise TensorError("BOOL takes true and false only")
        values = [_upper_half(item) for item in data] if datatype == "BF16" else data
        return struct.pack(f"<{len(data)}{_code(datatype)}", *values)
    except (struct.error, OverflowError, TypeError, UnicodeEncodeError) as error:
        raise TensorError(f"{datatype} cannot hold the data: {error}") from error


def unpacked(datatype: str, data: bytes, *, count: int) -> list[object]:
    """Bytes as flat elements; BYTES as text, broken UTF-8 replaced. Raises TensorError, as `check_size`."""
    if datatype == "BYTES":
        return [item.decode("utf-8", "replace") for item in _items(data, count=count)]
    check_size(datatype, data, count=count)
    values = struct.unpack(f"<{count}{_code(datatype)}", data)
    return [_float(value) for value in values] if datatype == "BF16" else list(values)


def check_size(datatype: str, data: bytes, *, count: int) -> None:
    """Raises TensorError where `data` are not exactly `count` elements of the datatype."""
    if datatype == "BYTES":
        _items(data, count=count)
        return
    wanted = count * struct.calcsize("<" + _code(datatype))
    if len(data) != wanted:
        raise TensorError(f"{count} elements of {datatype} are {wanted} bytes, not {len(data)}")


def _code(datatype: str) -> str:
    code = _CODES.get(datatype)
    if code is None:
        raise TensorError(f"datatype {datatype!r} is none of {', '.join(DATATYPES)}")
    return code


def _items(data: bytes, *, count: int) -> list[bytes]:
    items: list[bytes] = []
    at = 0
    while at + _LENGTH.size <= len(data) and len(items) < count:
        begin = at + _LENGTH.size
        at = begin + _LENGTH.unpack_from(data, at)[0]
        items.append(data[begin:at])
    if len(items) != count or at != len(data):
        raise TensorError(f"{len(data)} bytes are not exactly {count} elements of BYTES with their lengths")
    return items


def _octets(item: object) -> bytes:
    if isinstance(item, bytes):
        return item
    raise TypeError(f"an element of BYTES is text, not {item!r:.40}")


def _upper_half(item: object) -> int:
    """The BF16 of a number, as 16 bits."""
    bits = int(_WORD.unpack(struct.pack("<f", item))[0])
    if bits & 0x7FFFFFFF > 0x7F800000:  # NaN: rounding would make an infinity of some
        return bits >> 16 | 0x40
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def _float(half: int) -> float:
    (value,) = _FLOAT.unpack(_WORD.pack(half << 16))
    return float(value)
