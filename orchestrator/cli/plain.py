"""Text that others wrote, on a terminal: it may not move the cursor, colour the screen or ring the bell."""

from typing import Any, Final, TypeVar

import msgspec

Told = TypeVar("Told")

STANDS_FOR: Final = "\N{REPLACEMENT CHARACTER}"
_KEPT: Final = frozenset("\n\t")
_STEERING: Final = frozenset(
    map(chr, (0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)))
)
"""They break lines, or turn the direction of reading: what stands there is not what is read."""


def plain(text: str) -> str:
    """The text with a replacement character for each that cannot be shown or stored.

    Those are control characters (but not line breaks and tabs), and bytes of an argument that are no UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(one if one in _KEPT or not _is_odd(one) else STANDS_FOR for one in text)


def all_plain(told: Told) -> Told:
    """A struct, with every text in it made plain."""
    return msgspec.convert(_all_plain(msgspec.to_builtins(told)), type(told))


def _all_plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {_all_plain(key): _all_plain(one) for key, one in value.items()}
    return [_all_plain(one) for one in value] if isinstance(value, list | tuple) else value


def plain_json(text: str) -> str:
    """JSON that says the same, with each character escaped that could steer a terminal."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(f"\\u{ord(one):04x}" if one != "\n" and _is_odd(one) else one for one in text)


def _is_odd(character: str) -> bool:
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or character in _STEERING
