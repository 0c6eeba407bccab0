"""Answers of every form, read by hand, from a server whose every byte a test decides."""

import asyncio
import errno
import socket
import ssl

import pytest

from workers.chaos.clients.connection import BrokenAnswerError, Connection, failure, status_in

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def _heard(*pieces, then_closes=True):
    """Status and body of an answer that comes in these pieces."""

    async def talk():
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            line = Connection(reader, writer)
            for piece in pieces:
                await asyncio.get_running_loop().sock_sendall(theirs, piece)
            if then_closes:
                theirs.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(10):
                try:
                    return await line.status(), b"".join([piece async for piece in line.pieces()])
                finally:
                    line.leave()

    return asyncio.run(talk())


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",), 200, b"hello"),
        ((b"HTTP/1.1 20", b"0 OK\r\ncontent-le", b"ngth: 5\r\n\r", b"\nhel", b"lo"), 200, b"hello"),
        ((b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 0\r\n\r\n",), 201, b""),
        ((CHUNKED, b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n"), 200, b"abcde"),
        ((b"HTTP/1.0 503 Busy\n\nto the end",), 503, b"to the end"),
        ((b"HTTP/1.1 204 None\r\n\r\n",), 204, b""),
    ],
)  # fmt: skip
def test_an_answer_is_read_whatever_its_form(pieces, status, body):
    assert _heard(*pieces) == (status, body)


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", BrokenAnswerError),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000, BrokenAnswerError),
        (CHUNKED + b"zz\r\n", BrokenAnswerError),
        (CHUNKED + b"-5\r\nhello", BrokenAnswerError),
        (CHUNKED + b"f" * 17 + b"\r\n", BrokenAnswerError),
        (b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n", BrokenAnswerError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n", BrokenAnswerError),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, BrokenAnswerError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", asyncio.IncompleteReadError),
        (CHUNKED + b"5\r\nhel", asyncio.IncompleteReadError),
        (b"HTTP/1.1 2", asyncio.IncompleteReadError),
        (b"", asyncio.IncompleteReadError),
    ],
)
def test_what_is_no_answer_or_ends_too_soon_is_told_apart(piece, error):
    with pytest.raises(error):
        _heard(piece)


@pytest.mark.parametrize(
    ("head", "status"),
    [(b"HTTP/1.1 408 Request Timeout\r\n", 408), (b"HTTP/1.0 400", 400), (b"", None), (b"hello there", None)],
)
def test_a_status_is_found_in_the_beginning_of_an_answer(head, status):
    assert status_in(head) == status


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (BrokenAnswerError("x"), "failed.invalid"),
        (TimeoutError(), "failed.timeout"),
        (asyncio.IncompleteReadError(b"", 1), "failed.closed"),
        (ConnectionResetError(), "failed.closed"),
        (ssl.SSLError("handshake"), "failed.tls"),
        (ConnectionRefusedError(), "failed.connect"),
        (OSError(errno.EMFILE, "too many open files"), "withheld.host"),
    ],
)
def test_what_became_of_a_visit_is_the_targets_doing_or_this_hosts(error, word):
    assert failure(error) == word
