"""Heads of answers seen before: a target that says the same again need not be parsed again.

An answer is taken by its head alone where llhttp has read the very same bytes before as the head of a whole
answer of a stated length, on a connection to be kept. Anything else goes through llhttp.
"""

from dataclasses import dataclass
from typing import Final

MOST: Final = 256
"""Different heads kept; a target with a date or a request id in each makes new ones without end."""
LONGEST: Final = 4096
END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers of an answer whose body has `length` bytes."""

    raw: bytes
    status: int
    length: int
    headers: tuple[tuple[str, str], ...]


class Heads:
    """Those seen so far, of answers to anything but HEAD."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def whole(self, data: bytes) -> Head | None:
        """The head of `data` if that is a whole answer, no more and no less, with a head seen before."""
        end = data.find(END)
        head = self._known.get(data[:end])
        whole = head is not None and len(data) == end + len(END) + head.length
        return head if whole and end >= 0 else None

    def learn(self, data: bytes, *, raw: bytes, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        """Remember the head `raw` of `data`, an answer that llhttp took to be whole with its last byte.

        Only one whose length its own header states, once and plainly.
        """
        stated = [value for name, value in headers if name in {"content-length", "transfer-encoding"}]
        body = len(data) - len(raw) - len(END)
        if stated != [str(body)] or len(raw) > LONGEST or not data.startswith(raw + END):
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[raw] = Head(raw, status, body, headers)
