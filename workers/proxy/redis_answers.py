"""Replies of a Redis that the upstream never gave: empty ones, changed ones; to commands that only read."""

import random
from collections.abc import Sequence
from typing import Final

from workers.proxy.redis_reader import words_of
from workers.proxy.wrong_values import wrong_text

NO_CONVERSATION: Final = frozenset(
    {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"MONITOR", b"SYNC", b"PSYNC"}
)
"""Commands after which replies come unasked."""
_VALUE: Final = frozenset({b"GET", b"HGET", b"GETRANGE", b"LINDEX", b"ZSCORE", b"GETEX", b"LPOS", b"ZRANK"})
_EACH: Final = {b"MGET": 1, b"HMGET": 2, b"ZMSCORE": 2, b"SMISMEMBER": 2}
_LIST: Final = frozenset(
    {b"SMEMBERS", b"LRANGE", b"ZRANGE", b"ZREVRANGE", b"ZRANGEBYSCORE", b"HKEYS", b"HVALS", b"KEYS",
     b"SINTER", b"SUNION", b"SDIFF", b"XRANGE", b"XREVRANGE", b"HRANDFIELD", b"SRANDMEMBER"}
)  # fmt: skip
_NUMBER: Final = frozenset(
    {b"EXISTS", b"HEXISTS", b"SISMEMBER", b"HLEN", b"LLEN", b"SCARD", b"ZCARD", b"STRLEN"}
)
_PAIRS: Final = frozenset({b"HGETALL"})
_READS: Final = _VALUE | _EACH.keys() | _LIST | _NUMBER | _PAIRS


def words(raw: bytes) -> list[bytes]:
    """The words of a whole command, its name in upper case; none where it has none."""
    found = words_of(raw)
    return [found[0].upper(), *found[1:]] if found else []


def reads(command: Sequence[bytes]) -> bool:
    """Whether a command only asks what there is: others are never answered in the upstream's place."""
    return bool(command) and command[0] in _READS


def is_silent(command: Sequence[bytes]) -> bool:
    """Whether replies no longer come one to a command after this one."""
    name = command[0] if command else b""
    return name in NO_CONVERSATION or (
        name == b"CLIENT" and len(command) > 1 and command[1].upper() == b"REPLY"
    )


def is_resp3(command: Sequence[bytes], *, before: bool) -> bool:
    """Whether replies are RESP3 from this command on."""
    if command[:1] == (b"HELLO",) and len(command) > 1:
        return command[1] == b"3"
    return before


def empty(command: Sequence[bytes], *, resp3: bool) -> bytes | None:
    """The reply of a Redis that has nothing; None for a command that does not ask what it has."""
    name = command[0] if command else b""
    nothing = b"_\r\n" if resp3 else b"$-1\r\n"
    if name in _VALUE:
        return nothing
    if name in _EACH:
        number = max(0, len(command) - _EACH[name])
        return b"*%d\r\n" % number + nothing * number
    if name in _PAIRS:
        return b"%0\r\n" if resp3 else b"*0\r\n"
    if name in _LIST:
        return b"*0\r\n"
    return b":0\r\n" if name in _NUMBER else None


def altered(command: Sequence[bytes], reply: bytes, dice: random.Random) -> bytes:
    """The reply with its values changed, to a command that reads; names of a hash's fields stay."""
    if not reads(command):
        return reply
    name = command[0]
    found, place, count = b"", 0, 0
    while place < len(reply):
        end = reply.index(b"\r\n", place)
        kind, rest = reply[place : place + 1], reply[place + 1 : end]
        place = end + 2
        if kind in b"$=" and rest != b"-1":
            value = reply[place : place + int(rest)]
            place += int(rest) + 2
            if not (name in _PAIRS and count % 2 == 0):
                value = _other(value, dice)
            found += b"%s%d\r\n%s\r\n" % (kind, len(value), value)
            count += 1
        elif kind in b":,":
            found += kind + wrong_text(rest.decode(), dice).encode() + b"\r\n"
        else:
            found += kind + rest + b"\r\n"
    return found


def _other(value: bytes, dice: random.Random) -> bytes:
    try:
        return wrong_text(value.decode(), dice).encode()
    except UnicodeDecodeError:
        return bytes(byte ^ dice.randint(1, 255) for byte in value)
