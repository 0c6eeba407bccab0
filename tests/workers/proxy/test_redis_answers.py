"""Redis with answers made up: what reads may be answered otherwise, all else is left alone."""

import pytest

from workers.chaos.network.proxy_wire import Effect
from workers.proxy.hold import Hold
from workers.proxy.memory import Memory
from workers.proxy.talk import Talk


def _talk(memory=None, **effect):
    talk = Talk("redis", memory or Memory())
    hold = Hold(Effect(key="k", until_s=0.0, speaks="redis", **effect)) if effect else None
    talk.meet(hold, 1)
    return talk, hold


def _bytes(pieces, way):
    return b"".join(piece.data for piece in pieces if piece.way == way)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"GET a", b"$-1\r\n"),
        (b"MGET a b", b"*2\r\n$-1\r\n$-1\r\n"),
        (b"HMGET h a b", b"*2\r\n$-1\r\n$-1\r\n"),
        (b"HGETALL h", b"*0\r\n"),
        (b"EXISTS a", b":0\r\n"),
        (b"SMEMBERS s", b"*0\r\n"),
    ],
)
def test_an_empty_redis_has_nothing(command, reply):
    talk, _ = _talk(answer="empty")
    assert _bytes(talk.from_client(command + b"\r\n"), "down") == reply


def test_an_empty_redis_still_takes_what_it_is_given():
    talk, hold = _talk(answer="empty")
    asked = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n"
    assert _bytes(talk.from_client(asked), "up") == asked
    assert _bytes(talk.from_upstream(b"+OK\r\n"), "down") == b"+OK\r\n"
    assert hold.counts.touched == 0


def test_after_a_subscription_nothing_is_read_any_more():
    talk, _ = _talk(answer="empty")
    asked = b"SUBSCRIBE news\r\n"
    assert _bytes(talk.from_client(asked), "up") == asked
    assert _bytes(talk.from_client(b"GET a\r\n"), "up") == b"GET a\r\n"


@pytest.mark.parametrize("command", [b"SET a 1", b"INCR n", b"AUTH secret", b"SELECT 2", b"HELLO 3"])
def test_a_stale_redis_still_takes_what_it_is_given(command):
    memory = Memory()
    before, _ = _talk(memory)
    before.from_client(command + b"\r\n")
    before.from_upstream(b"+OK\r\n")
    talk, hold = _talk(memory, answer="stale")
    assert _bytes(talk.from_client(command + b"\r\n"), "up") == command + b"\r\n"
    assert (memory.count, hold.counts.touched) == (0, 0)


def test_a_stale_redis_answers_reads_as_before():
    memory = Memory()
    before, _ = _talk(memory)
    before.from_client(b"GET a\r\n")
    before.from_upstream(b"$3\r\nold\r\n")
    talk, _ = _talk(memory, answer="stale")
    assert _bytes(talk.from_client(b"GET a\r\n"), "down") == b"$3\r\nold\r\n"


@pytest.mark.parametrize("answer", ["empty", "stale", "wrong"])
def test_what_is_queued_in_a_transaction_is_left_alone(answer):
    memory = Memory()
    before, _ = _talk(memory)
    before.from_client(b"GET a\r\n")
    before.from_upstream(b"$3\r\nold\r\n")
    talk, hold = _talk(memory, answer=answer)
    asked = b"MULTI\r\nGET a\r\nEXEC\r\n"
    assert _bytes(talk.from_client(asked), "up") == asked
    replies = b"+OK\r\n+QUEUED\r\n*1\r\n$3\r\nnew\r\n"
    assert _bytes(talk.from_upstream(replies), "down") == replies
    assert hold.counts.touched == 0
    assert not _bytes(talk.from_client(b"GET a\r\n"), "up") or answer == "wrong", (
        "afterwards it is read again"
    )


def test_nothing_of_a_transaction_is_remembered_as_an_answer():
    talk, _ = _talk(memory := Memory())
    talk.from_client(b"MULTI\r\nGET a\r\nEXEC\r\n")
    talk.from_upstream(b"+OK\r\n+QUEUED\r\n*1\r\n$3\r\nnew\r\n")
    assert memory.count == 0


def test_a_push_in_two_pieces_answers_nobody():
    talk, _ = _talk(memory := Memory())
    talk.from_client(b"HELLO 3\r\n")
    talk.from_upstream(b"%0\r\n")
    talk.from_client(b"GET a\r\n")
    push = b">2\r\n+invalidate\r\n*1\r\n$1\r\nb\r\n"
    for place in range(len(push)):
        assert _bytes(talk.from_upstream(push[place : place + 1]), "down") in (b"", *_tails(push))
    talk.from_upstream(b"$3\r\nyes\r\n")
    talk, _ = _talk(memory, answer="stale")
    talk.from_client(b"HELLO 3\r\n")
    talk.from_upstream(b"%0\r\n")
    assert _bytes(talk.from_client(b"GET a\r\n"), "down") == b"$3\r\nyes\r\n"


def _tails(data):
    return [data[first : last + 1] for last in range(len(data)) for first in range(last + 1)]


def test_a_large_value_passes_whatever_its_pieces_look_like():
    """Its command is not kept whole, so its words are not known."""
    talk, _ = _talk()
    value = b"*" * (3 * 1024 * 1024)
    asked = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n%s\r\n" % (len(value), value)
    pieces = [asked[place : place + 65536] for place in range(0, len(asked), 65536)]
    assert b"".join(_bytes(talk.from_client(piece), "up") for piece in pieces) == asked


def test_a_line_of_redis_may_end_as_a_person_types_it():
    talk, _ = _talk(answer="empty")
    assert _bytes(talk.from_client(b"GET a\n"), "down") == b"$-1\r\n"
