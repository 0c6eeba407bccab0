"""What a stream of messages is cut into: bytes as they came, with where a message begins and ends."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

MOST_HEAD_BYTES = 64 * 1024


class StrangeError(Exception):
    """It is not the language that was expected: from here on bytes are passed on unread."""


@dataclass(slots=True)
class Head:
    """What is known of a message when its head is there.

    `key`: what names a request, beside its body. `fields`: of HTTP, in lower case. `status`: of an answer.
    `last`: the connection ends with it. `interim`: the real answer is still to come. `command`: of Redis.
    """

    key: bytes = b""
    fields: dict[str, str] = field(default_factory=dict)
    method: str = ""
    status: int = 0
    last: bool = False
    interim: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of one message; `head` where it begins, `ends` where it is complete with them."""

    data: bytes
    head: Head | None
    ends: bool


class Reader(Protocol):
    """Cuts one direction of a connection into messages."""

    def feed(self, data: bytes) -> Iterator[Part]:
        """Take more bytes, none at their end; the parts that are known now. Raises StrangeError."""

    @property
    def rest(self) -> bytes:
        """Bytes that are in no part yet."""
