"""One request and what came of it, as the socket layer saw it: times, bytes, and how it failed."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Failure = Literal["", "timeout", "connect", "reset", "invalid", "exhausted", "unauthorised"]
"""`exhausted` (no socket or port left here) and `unauthorised` wrote nothing: not the target's doing."""


class Exchange(msgspec.Struct, eq=False):  # made for each request, in a third of a plain class's time
    """Times are ns of CLOCK_MONOTONIC; bytes are stamped right after `recv` returned them, before parsing.

    `connect_ns`: how long DNS, TCP and TLS took before the request, 0 on a kept connection. `sent_ns`: first
    byte written, 0 if none was. `last_ns`: last byte of the answer; of a failure, the time it was known.
    `status`: 0 until the answer's headers were whole. `body`: without transfer coding; of a request with
    `stream` it is in `pieces` instead, (time, bytes) of each `recv` that held some; either holds what came
    before a failure.
    `truncated`: a stream whose connection ended in order before its HTTP end; whether it is complete is the
    protocol's to say, so `error` stays empty.
    `error` and `text`: how it failed, and in plain words. An HTTP status is not a failure here.
    """

    connect_ns: int = 0
    sent_ns: int = 0
    last_ns: int = 0
    status: int = 0
    head: bytes = b""
    pieces: list[tuple[int, bytes]] = []  # msgspec makes a new one each time
    body: bytes = b""
    error: Failure = ""
    text: str = ""
    truncated: bool = False
    reused: bool = False
    parsed: Sequence[tuple[str, str]] | None = None

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """Names in lower case and values of the answer, in order; read from the bytes when asked for."""
        if self.parsed is None:
            self.parsed = self._parse()
        return self.parsed

    def _parse(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def fail(self, error: Failure, text: str, *, at_ns: int) -> None:
        """Note how it failed and when that was known."""
        self.error = error
        self.text = text
        self.last_ns = at_ns
