"""A conversation in which some answers are made up: in order, whole, and nothing else is touched."""

import pytest

from workers.chaos.network.proxy_wire import Effect
from workers.proxy.hold import Hold
from workers.proxy.memory import MOST_KEPT_BYTES, Memory
from workers.proxy.talk import MOST_OPEN, Talk

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


def _talk(speaks="http", memory=None, **effect):
    talk = Talk(speaks, memory or Memory())
    hold = Hold(Effect(key="k", until_s=0.0, speaks=speaks, **effect)) if effect else None
    talk.meet(hold, 1)
    return talk, hold


def _bytes(pieces, way):
    return b"".join(piece.data for piece in pieces if piece.way == way)


def _ok(body):
    return OK % (len(body), body)


def test_without_a_hold_every_byte_goes_on_at_once():
    talk, _ = _talk()
    asked = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"
    assert _bytes(talk.from_client(asked), "up") == asked
    assert _bytes(talk.from_client(b"cd"), "up") == b"cd"
    assert _bytes(talk.from_upstream(_ok(b"yes")[:-1]), "down") == _ok(b"yes")[:-1]
    assert _bytes(talk.from_upstream(b"s"), "down") == b"s"


def test_a_status_is_answered_and_the_upstream_never_asked():
    talk, hold = _talk(answer="status", status=503, body="busy")
    pieces = talk.from_client(GET % 1)
    assert _bytes(pieces, "up") == b""
    said = _bytes(pieces, "down")
    assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert said.endswith(b"\r\n\r\nbusy")
    assert (hold.counts.passed, hold.counts.chosen, hold.counts.touched) == (1, 1, 1)


def test_a_share_of_requests_is_answered_and_the_rest_keep_their_order():
    talk, hold = _talk(answer="status", status=500, share=0.5, seed=5)
    ours, theirs, order = 0, 0, []
    pieces = talk.from_client(b"".join(GET % number for number in range(40)))
    asked = _bytes(pieces, "up").count(b"GET ")
    said = _bytes(pieces, "down") + b"".join(
        _bytes(talk.from_upstream(_ok(b"up")), "down") for _ in range(asked)
    )
    while said:
        if said.startswith(b"HTTP/1.1 200"):
            theirs, said = theirs + 1, said[len(_ok(b"up")) :]
            order.append("theirs")
        else:
            ours, said = ours + 1, said[said.index(b"\r\n\r\n") + 4 :]
            order.append("ours")
    assert (ours, theirs) == (hold.counts.chosen, asked)
    assert ours + theirs == 40
    assert 8 < ours < 32
    expected = ["ours" if hold.takes(1_000_003 + number) else "theirs" for number in range(1, 41)]
    assert order == expected


def test_an_answer_after_which_the_client_wants_to_end_ends_the_connection():
    talk, _ = _talk(answer="status", status=503)
    (piece,) = talk.from_client(b"GET / HTTP/1.0\r\n\r\n")
    assert piece.ends
    assert b"Connection: close" in piece.data


def test_an_old_answer_is_given_to_the_same_question_alone():
    memory = Memory()
    talk, _ = _talk(memory=memory)
    for number, body in ((1, b"old"), (2, b"other")):
        talk.from_client(GET % number)
        talk.from_upstream(_ok(body))
    assert memory.count == 2
    talk, hold = _talk(memory=memory, answer="stale")
    assert _bytes(talk.from_client(GET % 1), "down") == _ok(b"old")
    unknown = talk.from_client(GET % 3)
    assert _bytes(unknown, "up") == GET % 3
    assert (hold.counts.chosen, hold.counts.touched) == (2, 1)


def test_a_wrong_answer_has_the_shape_of_the_right_one():
    import json

    right = {"id": 7, "scores": [0.25, 0.5], "name": "ada", "ok": True, "none": None}
    talk, _ = _talk(answer="wrong", seed=1)
    talk.from_client(GET % 1)
    whole = _ok(json.dumps(right).encode())
    assert talk.from_upstream(whole[:-5]) == []
    said = _bytes(talk.from_upstream(whole[-5:]), "down")
    head, _, body = said.partition(b"\r\n\r\n")
    wrong = json.loads(body)
    assert b"Content-Length: %d" % len(body) in head
    assert list(wrong) == list(right)
    assert [type(value) for value in wrong.values()] == [type(value) for value in right.values()]
    assert all(wrong[key] != right[key] for key in ("id", "scores", "name", "ok"))


def test_a_slow_answer_is_the_right_one_later():
    talk, hold = _talk(answer="slow", latency_s=0.5, direction="down")
    talk.from_client(GET % 1)
    (piece,) = talk.from_upstream(_ok(b"x"))
    assert (piece.data, piece.delay_s, piece.hold) == (_ok(b"x"), 0.5, hold)


def test_what_is_no_http_passes_as_it_is():
    talk, hold = _talk(answer="status", status=503)
    assert _bytes(talk.from_client(b"\x16\x03\x01 hello\n"), "up") == b"\x16\x03\x01 hello\n"
    assert _bytes(talk.from_upstream(b"\x16\x03"), "down") == b"\x16\x03"
    assert hold.counts.passed == 0


def test_a_conversation_found_in_the_middle_is_understood_from_its_next_request_on():
    talk = Talk("http", Memory(), begun=False)
    hold = Hold(Effect(key="k", until_s=0.0, speaks="http", answer="status", status=503))
    talk.meet(hold, 1)
    assert _bytes(talk.from_client(b"the rest of a body"), "up") == b"the rest of a body"
    assert _bytes(talk.from_upstream(b"whatever"), "down") == b"whatever"
    assert _bytes(talk.from_client(GET % 1), "down").startswith(b"HTTP/1.1 503")


def test_a_request_that_was_under_way_at_the_injection_is_answered_by_the_upstream():
    talk, _ = _talk()
    talk.from_client(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
    hold = Hold(Effect(key="k", until_s=0.0, speaks="http", answer="status", status=503))
    talk.meet(hold, 1)
    assert _bytes(talk.from_client(b"cd" + GET % 2), "up") == b"cd"
    said = _bytes(talk.from_upstream(_ok(b"first")), "down")
    assert said.startswith(_ok(b"first") + b"HTTP/1.1 503")


def test_a_memory_forgets_the_oldest_and_learns_nothing_while_frozen():
    memory = Memory()
    for number in range(40):
        memory.learn(b"%d" % number, b"x" * 1024 * 1024)
    assert memory.count == 32
    assert memory.recall(b"0") is None
    memory.frozen = True
    memory.learn(b"39", b"new")
    assert memory.recall(b"39") == b"x" * 1024 * 1024


@pytest.mark.parametrize("speaks", ["http", "redis"])
def test_tls_is_not_waited_for_to_make_sense(speaks):
    """A hello need not hold a line's end: whoever waits for one keeps both sides waiting for ever."""
    talk, _ = _talk(speaks)
    hello, answer = b"\x16\x03\x01\x02\x00\x01" + bytes(500), b"\x16\x03\x03\x00\x7a\x02" + bytes(80)
    assert _bytes(talk.from_client(hello), "up") == hello
    assert _bytes(talk.from_upstream(answer), "down") == answer


def test_an_answer_that_begins_as_no_http_does_is_not_waited_for_either():
    talk, _ = _talk()
    talk.from_client(GET % 1)
    assert _bytes(talk.from_upstream(b"\x16\x03\x03"), "down") == b"\x16\x03\x03"


@pytest.mark.parametrize("speaks", ["http", "redis"])
def test_an_answer_that_could_not_be_changed_is_not_counted_as_wrong(speaks):
    talk, hold = _talk(speaks, answer="wrong", seed=1)
    asked, said = (GET % 1, _ok(b"<p>hello</p>")) if speaks == "http" else (b"GET a\r\n", b"$-1\r\n")
    talk.from_client(asked)
    assert _bytes(talk.from_upstream(said), "down") == said
    assert (hold.counts.chosen, hold.counts.touched) == (1, 0)


def test_an_old_answer_that_ends_with_its_connection_ends_it_again():
    talk, _ = _talk(memory=(memory := Memory()))
    whole = b"HTTP/1.0 200 OK\r\n\r\nold"
    talk.from_client(GET % 1)
    talk.from_upstream(whole)
    talk.from_upstream(b"")
    talk, _ = _talk(memory=memory, answer="stale")
    (piece,) = talk.from_client(GET % 1)
    assert (piece.data, piece.ends) == (whole, True)


@pytest.mark.parametrize("field", [b"Authorization: Bearer b", b"Range: bytes=5-9", b"Accept-Encoding: gzip"])
def test_an_old_answer_is_not_given_to_who_asks_for_another_one(field):
    talk, _ = _talk(memory=(memory := Memory()))
    talk.from_client(GET % 1)
    talk.from_upstream(_ok(b"old"))
    talk, _ = _talk(memory=memory, answer="stale")
    asked = (GET % 1)[:-2] + field + b"\r\n\r\n"
    assert _bytes(talk.from_client(asked), "up") == asked


def test_half_a_request_is_not_lost_where_the_upstream_says_what_cannot_be_read():
    talk, _ = _talk(answer="slow", latency_s=0.1)
    talk.from_client(GET % 1)
    assert talk.from_client(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab") == []
    pieces = talk.from_upstream(b"what is this\r\n")
    assert _bytes(pieces, "up") == b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"
    assert _bytes(pieces, "down") == b"what is this\r\n"
    assert _bytes(talk.from_client(b"cd"), "up") == b"cd"


def test_more_open_requests_than_are_kept_account_of_are_all_passed_on():
    talk, _ = _talk(answer="slow", latency_s=0.1)
    asked = (GET % 1) * (MOST_OPEN + 50) + b"GET /half"
    assert _bytes(talk.from_client(asked), "up") == asked
    assert _bytes(talk.from_client(GET % 2), "up") == GET % 2


def test_who_asks_for_another_protocol_may_be_refused_as_any_other():
    asked = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    talk, _ = _talk(answer="status", status=503)
    assert _bytes(talk.from_client(asked), "down").startswith(b"HTTP/1.1 503 ")


def test_after_another_protocol_was_agreed_upon_nothing_is_read_any_more():
    talk, hold = _talk(answer="slow", latency_s=0.1)
    asked = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert _bytes(talk.from_client(asked), "up") == asked
    said = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02hi"
    assert _bytes(talk.from_upstream(said), "down") == said
    assert _bytes(talk.from_client(b"\x81\x82"), "up") == b"\x81\x82"
    assert hold.counts.passed == 1


def test_who_waits_for_leave_to_send_a_body_gets_it_and_is_answered():
    talk, _ = _talk(answer="status", status=503)
    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert _bytes(talk.from_client(head), "down") == b"HTTP/1.1 100 Continue\r\n\r\n"
    pieces = talk.from_client(b"ab")
    assert _bytes(pieces, "up") == b""
    assert _bytes(pieces, "down").startswith(b"HTTP/1.1 503 ")


def test_half_an_answer_is_not_lost_where_the_client_says_what_cannot_be_read():
    talk, _ = _talk()
    talk.from_client(GET % 1)
    half = b"HTTP/1.1 200 OK\r\nContent-"
    assert _bytes(talk.from_upstream(half), "down") == b""
    assert _bytes(talk.from_client(b"what is this\r\n"), "down") == half
    assert _bytes(talk.from_upstream(b"Length: 0\r\n\r\n"), "down") == b"Length: 0\r\n\r\n"


def test_half_an_answer_is_passed_on_when_the_upstream_ends_in_its_middle():
    talk, _ = _talk()
    talk.from_client(GET % 1)
    half = b"HTTP/1.1 200 OK\r\nContent-"
    assert _bytes(talk.from_upstream(half) + talk.from_upstream(b""), "down") == half


def test_what_is_kept_of_messages_is_accounted_for_until_they_are_whole():
    memory = Memory()
    talk, _ = _talk(memory=memory, answer="wrong")
    asked = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"
    talk.from_client(asked + b"1234")
    talk.settle()
    assert memory.kept_bytes == len(asked) + 4
    talk.from_client(b"56789")
    talk.settle()
    assert memory.kept_bytes == 0
    talk.from_upstream(_ok(b"12345")[:-2])
    talk.settle()
    assert memory.kept_bytes == len(_ok(b"12345")) - 2
    talk.settle(over=True)
    assert memory.kept_bytes == 0


def test_where_much_is_kept_already_messages_pass_as_they_come_and_are_not_remembered():
    memory = Memory()
    memory.kept_bytes = MOST_KEPT_BYTES
    talk, hold = _talk(memory=memory, answer="wrong", seed=1)
    asked = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
    assert _bytes(talk.from_client(asked + b"ab"), "up") == asked + b"ab"
    assert _bytes(talk.from_client(b"cd"), "up") == b"cd"
    talk.from_client(GET % 1)
    for whole in (_ok(b"[1, 2]"), _ok(b"[3, 4]")):
        pieces = [_bytes(talk.from_upstream(whole[place : place + 20]), "down") for place in range(0, 99, 20)]
        assert b"".join(pieces) == whole
    assert (hold.counts.touched, memory.count) == (0, 0)
    plain, _ = _talk(memory=memory)
    plain.from_client(GET % 1)
    plain.from_upstream(_ok(b"[1, 2]")[:9])
    plain.from_upstream(_ok(b"[1, 2]")[9:])
    assert memory.count == 0


def test_an_answer_too_large_to_be_changed_is_the_only_one_that_is_not():
    talk, _ = _talk(answer="wrong", seed=1)
    talk.from_client(GET % 1 + GET % 2)
    large = _ok(b"7" * (5 * 1024 * 1024))
    pieces = [large[place : place + 65536] for place in range(0, len(large), 65536)]
    assert b"".join(_bytes(talk.from_upstream(piece), "down") for piece in pieces) == large
    assert _bytes(talk.from_upstream(_ok(b"[1]")), "down") not in (b"", _ok(b"[1]"))
