import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.demo_target import http1
from workers.demo_target.http1 import BadRequestError, Reader, Request


def read_all(pieces: list[bytes]) -> list[Request]:
    reader, found = Reader(), []
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.next()) is not None:
            found.append(request)
    return found


COUNTED = b"POST /a?q=1 HTTP/1.1\r\nHost: x\r\nX-Shakeout-Id: p/1/1\r\ncontent-length: 5\r\n\r\nhello"
CHUNKS = b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nt: 1\r\n\r\n"
CHUNKED = b"POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKS
BARE = b"GET /c HTTP/1.0\r\n\r\n"


@given(cuts=st.sets(st.integers(1, len(COUNTED + CHUNKED + BARE) - 1)))
def test_any_split_of_the_bytes_gives_the_same_requests(cuts):
    stream = COUNTED + CHUNKED + BARE
    edges = [0, *sorted(cuts), len(stream)]
    found = read_all([stream[start:stop] for start, stop in itertools.pairwise(edges)])
    assert [(each.method, each.path, each.body) for each in found] == [
        ("POST", "/a", b"hello"),
        ("POST", "/b", b"abc0123456789"),
        ("GET", "/c", b""),
    ]
    assert found[0].headers["x-shakeout-id"] == "p/1/1"
    assert [each.keep_alive for each in found] == [True, True, False]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * http1.MAX_HEAD_BYTES, 431),
    ],
)
def test_bytes_that_are_no_request_are_refused_with_their_status(data, status):
    with pytest.raises(BadRequestError) as refused:
        read_all([data])
    assert refused.value.status == status


def test_a_head_that_awaits_a_continue_says_so():
    reader = Reader()
    reader.feed(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert reader.next() is None
    assert reader.awaits_body


def test_an_answers_head_frames_its_body_as_the_connection_allows():
    counted = http1.head(status=200, content_type="a/b", length=3, keep_alive=True)
    assert counted == b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 3\r\n\r\n"
    chunked = http1.head(status=200, content_type="a/b", length=None, keep_alive=True)
    assert b"transfer-encoding: chunked" in chunked
    closing = http1.head(status=200, content_type="a/b", length=None, keep_alive=False)
    assert b"chunked" not in closing
    assert b"connection: close" in closing
