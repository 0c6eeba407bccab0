"""One HTTP answer read from bytes that come as they like."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.response import MAX_HEAD_BYTES, BrokenAnswerError, Response

SIMPLE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
    b"5;ext=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
)


def read(*pieces, without_body=False):
    response = Response(without_body=without_body)
    for piece in pieces:
        response.take(piece)
    return response


@given(st.lists(st.integers(0, len(CHUNKED)), max_size=12).map(sorted))
def test_an_answer_cut_anywhere_reads_the_same(cuts):
    edges = [0, *cuts, len(CHUNKED)]
    response = read(*(CHUNKED[a:b] for a, b in itertools.pairwise(edges) if a < b))
    assert response.complete
    assert response.keep
    assert response.status == 201
    assert b"".join(response.parts) == b"hello 0123456789"
    assert response.head() == b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX-A: b"


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
def test_a_chunked_answer_is_complete_with_its_last_byte_and_not_before(cut):
    assert not read(CHUNKED[:cut]).complete


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_ends_with_its_headers(status):
    response = read(b"HTTP/1.1 " + status + b"\r\n\r\n")
    assert response.complete
    assert response.keep


def test_the_answer_to_head_ends_with_its_headers_whatever_length_it_names():
    assert read(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", without_body=True).complete


def test_a_body_without_a_length_ends_with_the_connection():
    response = read(b"HTTP/1.0 200 OK\r\n\r\nall of", b" it")
    assert not response.complete
    response.take(b"")
    assert response.complete
    assert not response.keep
    assert b"".join(response.parts) == b"all of it"


@pytest.mark.parametrize("surplus", [b"zzz", SIMPLE, b"\r\n\r\nHTTP/1.1 200 OK\r\n"])
def test_bytes_after_the_end_are_dropped_and_the_connection_with_them(surplus):
    response = read(SIMPLE + surplus)
    assert response.complete
    assert not response.keep
    assert b"".join(response.parts) == b"abc"
    assert response.status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.7 200 OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nXYZ\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03",
    ],
)
def test_what_is_not_an_http_answer_is_broken_and_says_why(data):
    with pytest.raises(BrokenAnswerError, match=r"\w"):
        read(data)


def test_headers_without_end_are_broken_at_a_bound():
    response = Response(without_body=False)
    response.take(b"HTTP/1.1 200 OK\r\n")
    line = b"x-filler: " + b"y" * 1014 + b"\r\n"
    for _ in range(MAX_HEAD_BYTES // len(line) - 1):
        response.take(line)
    with pytest.raises(BrokenAnswerError, match="headers over 256 KiB"):
        response.take(2 * line)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_broken_and_nothing_else(data):
    response = Response(without_body=False)
    try:
        response.take(b"HTTP/1.1 200 OK\r\n" + data)
        response.take(b"")
    except BrokenAnswerError:
        return
    assert response.complete
