"""Bodies broken in ways that servers meet; drawn by the fault's own seed, so that a run can be repeated."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

import msgspec

from workers.chaos.clients.kinds import BAD_UNICODE, BROKEN_JSON, DEEP, EMPTY, WRONG_TYPES

_DEEP: Final = 20_000
"""Brackets within brackets: past what parsers that call themselves put up with."""
_BAD_BYTES: Final = (b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x98")
"""Never in UTF-8; a wrong continuation; a lone surrogate; a character cut off."""


def broken(kind: str, body: bytes, *, random: Random) -> bytes:
    """The body of a valid request, broken in that way."""
    return _WAYS[kind](body, random)


def _broken_json(body: bytes, random: Random) -> bytes:
    """Cut off, or with a bracket too many, or with single quotes for double ones."""
    way = random.randrange(3)
    if way == 0:
        return body[: random.randrange(1, len(body))] if len(body) > 1 else b"{"
    if way == 1:
        return body + b"}"
    return body.replace(b'"', b"'") if b'"' in body else b"{'"


def _wrong_types(body: bytes, random: Random) -> bytes:
    """The same keys, each with a value of another type."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b"[]"
    if not isinstance(value, dict) or not value:
        return msgspec.json.encode([value])
    names = list(value)
    wrong = random.sample(names, random.randint(1, len(names)))
    return msgspec.json.encode(
        {name: _other(item) if name in wrong else item for name, item in value.items()}
    )


def _other(value: Any) -> object:
    match value:
        case bool():
            return "perhaps"
        case int() | float():
            return {"number": str(value)}
        case str():
            return [1.5, None]
        case list():
            return {"0": value[:1]}
        case _:
            return 17


def _bad_unicode(body: bytes, random: Random) -> bytes:
    """Bytes that are no UTF-8 inside a text, where there is one."""
    bad = random.choice(_BAD_BYTES)
    at = body.find(b'"', random.randrange(max(1, len(body) // 2)))
    return body[: at + 1] + bad + body[at + 1 :]


def _empty(body: bytes, random: Random) -> bytes:  # noqa: ARG001  # the shape of all ways
    return b""


def _deep(body: bytes, random: Random) -> bytes:  # noqa: ARG001  # the shape of all ways
    return b"[" * _DEEP + b"]" * _DEEP


_WAYS: Final[Mapping[str, Callable[[bytes, Random], bytes]]] = {
    BROKEN_JSON: _broken_json,
    WRONG_TYPES: _wrong_types,
    BAD_UNICODE: _bad_unicode,
    EMPTY: _empty,
    DEEP: _deep,
}
