import time

import pytest

from workers.engine.allow import parse_allow_list
from workers.watching.contract import UnreadError
from workers.watching.fetch import MOST_BYTES, TIMEOUT_S, fetch

OK = b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 16:37:59 GMT\r\n"


def test_an_answer_comes_whole_with_the_server_s_own_date(answering, place_at):
    url = answering(OK + b"Content-Length: 5\r\n\r\nhe", b"llo")
    reply = fetch(place_at(f"{url}/prom/"), "/api")
    assert reply.body == b"hello"
    assert reply.date_s == 1795365479.0
    assert reply.sent_s <= reply.came_s


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ((b"HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\nwait",), "answered GET /api with 503: wait"),
        ((b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",), "with 302"),
        ((b"nonsense\r\n\r\n",), "nonsense"),
        ((b"",), "closed|without response"),
    ],
)
def test_whatever_is_no_good_answer_is_told(answering, place_at, pieces, why):
    with pytest.raises(UnreadError, match=why):
        fetch(place_at(answering(*pieces)), "/api")


def test_an_answer_without_end_is_cut_off(answering, place_at):
    url = answering(OK + b"\r\n", *[b"x" * 2**20] * (MOST_BYTES // 2**20 + 2))
    with pytest.raises(UnreadError, match="more than"):
        fetch(place_at(url), "/api")


def test_who_sends_a_byte_now_and_then_is_not_waited_for(answering, place_at):
    url = answering(OK + b"\r\n", *[b"x"] * 100, pause_s=0.3)
    begun_s = time.monotonic()
    with pytest.raises(UnreadError, match="no whole answer within"):
        fetch(place_at(url), "/api")
    assert time.monotonic() - begun_s < 3 * TIMEOUT_S


def test_nobody_off_the_allow_list_is_connected_to(place_at):
    with pytest.raises(UnreadError, match="not on this worker's allow-list"):
        fetch(place_at("http://192.0.2.7:9090", allowed=parse_allow_list(["10.0.0.0/8"])), "/api")


def test_a_secret_in_a_header_is_sent_and_never_shown(answering, place_at):
    place = place_at(answering(OK + b"Content-Length: 0\r\n\r\n"), headers={"Authorization": "Bearer s3cret"})
    assert fetch(place, "/api").status == 200
    assert "s3cret" not in repr(place)
