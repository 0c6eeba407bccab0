"""Binary tensors as the demo target reads and writes them: JSON, then the data of each, little-endian."""

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec

LENGTH_HEADER: Final = "inference-header-content-length"
_CODES: Final = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H",
    "UINT32": "I", "UINT64": "Q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
_LENGTH_BYTES = 4


def split(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """(JSON, binary data) of a body; raises msgspec.ValidationError for a length that it has not."""
    if length is None:
        return body, b""
    if not length.isdecimal() or int(length) > len(body):
        raise msgspec.ValidationError(f"{LENGTH_HEADER} is {length[:20]!r}, the body has {len(body)} bytes")
    return body[: int(length)], body[int(length) :]


def values(datatype: str, data: bytes) -> list[Any]:
    """The elements that these bytes hold; raises msgspec.ValidationError where they are not whole ones."""
    if datatype == "BYTES":
        return _texts(data)
    if datatype == "BF16":
        halves = _unpacked("H", data)
        return [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]
    return _unpacked(_CODES[datatype], data)


def floats(data: Sequence[float]) -> bytes:
    """Numbers as FP32."""
    return struct.pack(f"<{len(data)}f", *data)


def _unpacked(code: str, data: bytes) -> list[Any]:
    count, rest = divmod(len(data), struct.calcsize("<" + code))
    if rest:
        raise msgspec.ValidationError(f"{len(data)} bytes are no whole number of elements")
    return list(struct.unpack(f"<{count}{code}", data))


def _texts(data: bytes) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(data):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin], "little")
        if at > len(data):
            raise msgspec.ValidationError("an element of BYTES is longer than the data")
        found.append(data[begin:at].decode("utf-8", "replace"))
    return found
