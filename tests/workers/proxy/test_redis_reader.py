"""The Redis protocol cut into commands and replies: whatever the pieces that it comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.proxy.part import StrangeError
from workers.proxy.redis_reader import RedisReader, words_of

COMMANDS = [
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"PING\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$6\r\n\r\n$9\r\n\r\n",
]
REPLIES = [
    b"+OK\r\n",
    b":12\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"$0\r\n\r\n",
    b"*3\r\n$1\r\na\r\n*1\r\n:1\r\n$-1\r\n",
    b"*0\r\n",
    b"%1\r\n+k\r\n$1\r\nv\r\n",
    b"|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"~1\r\n=5\r\ntxt:x\r\n",
]


def _read(reader, data, sizes):
    found, current, place, turn = [], b"", 0, 0
    while place < len(data):
        size = sizes[turn % len(sizes)]
        for part in reader.feed(data[place : place + size]):
            current += part.data
            if part.ends:
                found.append(current)
                current = b""
        place, turn = place + size, turn + 1
    return found


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_commands_are_the_same_however_they_are_cut(sizes):
    assert _read(RedisReader(commands=True), b"".join(COMMANDS), sizes) == COMMANDS


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_replies_are_the_same_however_they_are_cut(sizes):
    assert _read(RedisReader(commands=False), b"".join(REPLIES), sizes) == REPLIES


def test_what_is_pushed_unasked_is_known_by_its_head():
    (part,) = RedisReader(commands=False).feed(b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n")
    assert part.head.interim
    assert part.ends


def test_what_is_no_redis_stays_whole():
    reader = RedisReader(commands=False)
    with pytest.raises(StrangeError):
        list(reader.feed(b"HTTP/1.1 200 OK\r\n"))
    assert reader.rest == b"HTTP/1.1 200 OK\r\n"


def test_the_words_of_a_command_are_its_own_whatever_is_in_them():
    assert words_of(COMMANDS[2]) == [b"SET", b"a", b"\r\n$9\r\n"]
    assert words_of(b"GET  a\r\n") == [b"GET", b"a"]
