"""HTTP cut into messages: whatever the pieces that it comes in, the bytes and the ends are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.proxy.http_reader import HttpReader
from workers.proxy.part import StrangeError

REQUESTS = [
    b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
    b"DELETE /d HTTP/1.0\r\n\r\n",
]
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
]


def _cut(messages, sizes):
    """The whole of it in pieces of these sizes, again and again."""
    data, place, turn = b"".join(messages), 0, 0
    while place < len(data):
        size = sizes[turn % len(sizes)]
        yield data[place : place + size]
        place, turn = place + size, turn + 1


def _read(reader, pieces):
    """Every message as it was read."""
    found, current = [], b""
    for piece in pieces:
        for part in reader.feed(piece):
            current += part.data
            if part.ends:
                found.append(current)
                current = b""
    return found


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_requests_are_the_same_however_they_are_cut(sizes):
    assert _read(HttpReader(), _cut(REQUESTS, sizes)) == REQUESTS


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_answers_are_the_same_however_they_are_cut(sizes):
    assert _read(HttpReader(lambda: False), _cut(ANSWERS, sizes)) == ANSWERS


def test_an_answer_without_a_length_ends_with_the_connection():
    reader = HttpReader(lambda: False)
    assert _read(reader, [b"HTTP/1.1 200 OK\r\n\r\nsome", b"thing"]) == []
    (last,) = reader.feed(b"")
    assert last.ends


def test_the_answer_to_head_has_no_body():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert _read(HttpReader(lambda: True), [answer, answer]) == [answer, answer]


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\n",
        b"\x16\x03\x01",
        b"CONNECT store:443 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_1_stays_whole(data):
    reader = HttpReader()
    with pytest.raises(StrangeError):
        list(reader.feed(data))
    assert reader.rest == data


@pytest.mark.parametrize("size", [b"-3", b"+3", b"0x3", b"1_0", b""])
def test_a_chunk_of_no_size_is_not_guessed_at(size):
    """A negative one would be read for ever."""
    reader = HttpReader()
    parts = []
    with pytest.raises(StrangeError):
        parts.extend(reader.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nab"))
    assert reader.rest == size + b"\r\nab"
