"""Reading what anybody may have written: whatever is wrong with it is one kind of error.

msgspec gives up on deep nesting with a RecursionError, and on some broken texts with a UnicodeDecodeError; a
thread that expects a DecodeError alone would end of it.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

Read = TypeVar("Read")


def guarded(decode: Callable[[bytes], Read]) -> Callable[[bytes], Read]:
    """The same reading; what it cannot read raises msgspec.DecodeError, whatever it is."""

    def read(body: bytes) -> Read:
        try:
            return decode(body)
        except RecursionError as error:
            raise msgspec.DecodeError("it is nested too deeply") from error
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError(f"it is no UTF-8 at byte {error.start + 1}") from error

    return read


def texts(found: Iterable[bytes]) -> tuple[str, ...]:
    """Those that are UTF-8, in order: what is no text is nobody's id."""
    return tuple(text for one in found if (text := one.decode(errors="ignore")).encode() == one)
