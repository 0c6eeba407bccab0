"""The demo target's own log: what it received and sent, and when. Tests hold a report against it.

JSON lines, appended. Every request that is not a look at health, models or metrics has two lines:

    {"event": "received", "id": "peak-load/17/1", "path": "/v1/chat/completions", "received_ns": 8123456789,
     "received": 1790000000.123}
    {"event": "answered", "id": "peak-load/17/1", "path": "/v1/chat/completions", "received_ns": 8123456789,
     "received": 1790000000.123,
     "first_ns": 8173456789, "answered_ns": 8403456789, "status": 200, "tokens": 24}

- `event`: `received` once the whole request was read (one refused for its body's size or framing: once that
  was seen; bytes without a whole head have no line), before anything of its answer is sent; then one of
  `answered` (the last byte was given to the socket), `disconnected` (the client closed before that), `cut`
  (this process was told to stop and closed the connection before that).
- `id`: the request's `x-shakeout-id`, null without one.
- `received_ns`, `first_ns`, `answered_ns`: CLOCK_MONOTONIC in ns; `received`: the receipt in unix time, s.
- `first_ns`: just before the first token (of a reply in one piece: the reply) was written; null if none was.
- `answered_ns`: just after the last byte was written, or when the end came otherwise.
- `status`: of the answer; null if none of it was sent. `tokens`: output tokens sent.

Each line is one unbuffered write to a file opened for appending. So a process killed at any moment leaves a
`received` line of every request that it could have answered, and lacks at most the ending of those in flight.
"""

import os
from pathlib import Path

import msgspec

from workers.demo_target.errors import DemoTargetError

_encode = msgspec.json.Encoder().encode


class Received(msgspec.Struct, frozen=True, tag="received", tag_field="event"):
    """A request was read whole."""

    id: str | None
    path: str
    received_ns: int
    received: float


class Ended(msgspec.Struct, frozen=True):
    """A request's end, in one of three ways."""

    event: str  # answered, disconnected, cut
    id: str | None
    path: str
    received_ns: int
    received: float
    first_ns: int | None
    answered_ns: int
    status: int | None
    tokens: int


class TruthLog:
    """The open log file.

    Raises DemoTargetError where it cannot be opened or written: a log with holes is no oracle.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o644)
        except OSError as error:
            raise DemoTargetError(
                f"cannot open the log {path}: {error.strerror}; name a file in a folder that can be written"
            ) from error
        self._path = path

    def write(self, line: Received | Ended) -> None:
        """Append one line; it is with the kernel when this returns."""
        data = _encode(line) + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise DemoTargetError(f"cannot write the log {self._path}: {error.strerror}") from error
        if written != len(data):
            raise DemoTargetError(
                f"cannot write the log {self._path}: a line was cut short; is the disk full?"
            )

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
