"""Text that others wrote, on a terminal: it may not move the cursor, colour the screen or ring the bell."""

from typing import Final

STANDS_FOR: Final = "\N{REPLACEMENT CHARACTER}"
_KEPT: Final = frozenset("\n\t")


def plain(text: str) -> str:
    """The text with a replacement character for each that cannot be shown or stored.

    Those are control characters (but not line breaks and tabs), and bytes of an argument that are no UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(one if one in _KEPT or not _is_odd(one) else STANDS_FOR for one in text)


def _is_odd(character: str) -> bool:
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or 0x202A <= code <= 0x202E
