"""HTTP/2 as bytes: frames cut from what a socket gives, frames made of what is to be said. No socket here.

Source: RFC 9113 (HTTP/2), sections 4, 6 and 7.
"""

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, _, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)

DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME_BYTES: Final = 16_384
"""The longest payload that either side may send before it is told otherwise; we tell nobody otherwise."""
MAX_WINDOW: Final = (1 << 31) - 1
MAX_STREAM: Final = (1 << 31) - 1

ERRORS: Final = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip

_HEAD = struct.Struct(">HBBBI")
HEAD_BYTES: Final = _HEAD.size


class BrokenFramesError(Exception):
    """The bytes are not HTTP/2, or beyond our bounds; says why."""


class Frame(NamedTuple):
    """One frame; `stream` 0 is the connection itself."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class FrameReader:
    """Cuts frames from bytes as they come; keeps what is not whole yet."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not whole yet."""
        return self._data

    def take(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. Raises BrokenFramesError for one longer than we allow."""
        if self._data:
            data = self._data + data
        frames: list[Frame] = []
        at, end = 0, len(data)
        while end - at >= HEAD_BYTES:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
            size = high << 8 | low
            if size > DEFAULT_FRAME_BYTES:
                raise BrokenFramesError(f"a frame of {size} bytes, where {DEFAULT_FRAME_BYTES} are allowed")
            until = at + HEAD_BYTES + size
            if until > end:
                break
            frames.append(Frame(kind, flags, stream & MAX_STREAM, data[at + HEAD_BYTES : until]))
            at = until
        self._data = data[at:]
        return frames


def frame(kind: int, flags: int, *, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame's bytes."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(values: Mapping[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(
        SETTINGS, 0, payload=b"".join([struct.pack(">HI", key, value) for key, value in values.items()])
    )


def read_settings(payload: bytes) -> dict[int, int]:
    """The settings of a frame. Raises BrokenFramesError."""
    if len(payload) % 6:
        raise BrokenFramesError(f"SETTINGS of {len(payload)} bytes")
    return dict(struct.iter_unpack(">HI", payload))


def window_update(stream: int, more: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream=stream, payload=more.to_bytes(4, "big"))


def read_number(one: Frame) -> int:
    """The 31-bit number that WINDOW_UPDATE, RST_STREAM and GOAWAY begin with. Raises BrokenFramesError."""
    if len(one.payload) < 4:
        raise BrokenFramesError(f"a frame of kind {one.kind} with {len(one.payload)} bytes")
    return int.from_bytes(one.payload[:4], "big") & MAX_STREAM


def content(one: Frame) -> bytes:
    """Payload of DATA or HEADERS without padding and priority. Raises BrokenFramesError."""
    payload = one.payload
    begin, end = 0, len(payload)
    if one.flags & PADDED:
        if not payload:
            raise BrokenFramesError("a padded frame without its padding's length")
        begin, end = 1, end - payload[0]
    if one.kind == HEADERS and one.flags & WITH_PRIORITY:
        begin += 5
    if begin > end:
        raise BrokenFramesError("a frame whose padding is longer than itself")
    return payload[begin:end] if one.flags & (PADDED | WITH_PRIORITY) else payload


def error_name(code: int) -> str:
    """The name of an error code."""
    return ERRORS[code] if code < len(ERRORS) else f"error {code}"
