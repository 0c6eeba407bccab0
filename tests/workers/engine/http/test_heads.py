"""Which answers are taken by a head seen before, and that it makes no difference."""

import time

import pytest

from workers.engine.heads import MOST, Heads
from workers.protocols.contract import Request

POST = Request("POST", "/", b"{}", (), stream=False)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nX-Served-By: a"
END = b"\r\n\r\n"


def seen(raw: bytes, body: bytes, *headers: tuple[str, str]) -> Heads:
    heads = Heads()
    heads.learn(raw + END + body, raw=raw, status=200, headers=headers)
    return heads


def test_the_same_head_with_another_body_of_its_length_is_known():
    heads = seen(HEAD, b"abc", ("content-length", "3"), ("x-served-by", "a"))
    head = heads.whole(HEAD + END + b"xyz")
    assert head is not None
    assert (head.status, head.length, head.headers[1]) == (200, 3, ("x-served-by", "a"))


@pytest.mark.parametrize(
    "data", [b"", HEAD, HEAD + END, HEAD + END + b"ab", HEAD + END + b"abcd", b"x" + HEAD + END + b"abc"]
)
def test_less_or_more_than_the_answer_is_not_known(data):
    assert seen(HEAD, b"abc", ("content-length", "3")).whole(data) is None


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("content-length", "4"),),
        (("content-length", "3"), ("content-length", "3")),
        (("content-length", "3"), ("transfer-encoding", "chunked")),
        (("content-length", "+3"),),
    ],
)
def test_a_head_that_does_not_state_its_length_once_and_plainly_is_not_learnt(headers):
    assert seen(HEAD, b"abc", *headers).whole(HEAD + END + b"abc") is None


def test_a_head_that_is_cut_off_before_its_end_is_not_known():
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 33"
    body = b"x" * 33
    heads = Heads()
    heads.learn(raw + END + body, raw=raw, status=200, headers=(("content-length", "33"),))
    assert heads.whole(raw + END + body) is not None
    assert len(raw) - 2 == len(body)  # so that one byte behind the head seems to be a whole answer
    assert heads.whole(raw + b"\r") is None


def test_heads_without_end_are_bounded():
    heads = Heads()
    for number in range(3 * MOST):
        raw = HEAD + b"%d" % number
        heads.learn(raw + END + b"abc", raw=raw, status=200, headers=(("content-length", "3"),))
        assert heads.whole(raw + END + b"abc") is not None
    assert (
        sum(heads.whole(HEAD + b"%d" % number + END + b"abc") is not None for number in range(3 * MOST))
        <= MOST
    )


def test_known_and_new_answers_are_the_same_exchange(scripted, client_of, send):
    def script(line):
        for body in (b"abc", b"def", b"xyz"):
            line.request()
            line.send(HEAD + END + body)

    with scripted(script) as server:
        client = client_of(server)
        found = [send(client, POST) for _ in range(3)]
    assert [one.body for one in found] == [b"abc", b"def", b"xyz"]
    assert {(one.status, one.head, one.error, tuple(one.headers)) for one in found} == {
        (200, HEAD, "", (("content-length", "3"), ("x-served-by", "a")))
    }
    assert all(one.sent_ns < one.last_ns <= time.monotonic_ns() for one in found)
    assert [one.reused for one in found] == [False, True, True]


def test_bytes_after_a_known_answer_cost_the_connection_and_nothing_else(scripted, client_of, send):
    def script(line):
        line.request()
        line.send(HEAD + END + b"abc")
        if line.request():
            line.send(HEAD + END + b"abc" + b"more")
            line.request()

    with scripted(script) as server:
        client = client_of(server)
        found = [send(client, POST) for _ in range(3)]
        assert len(server.lines) == 2
    assert [(one.body, one.error, one.reused) for one in found] == [
        (b"abc", "", False), (b"abc", "", True), (b"abc", "", False)
    ]  # fmt: skip


def test_a_known_answer_that_comes_in_two_halves_is_whole(scripted, client_of, send):
    def script(line):
        line.request()
        line.send(HEAD + END + b"abc")
        line.request()
        line.send(HEAD + END)
        time.sleep(0.05)
        line.send(b"def")

    with scripted(script) as server:
        client = client_of(server)
        assert [send(client, POST).body for _ in range(2)] == [b"abc", b"def"]
