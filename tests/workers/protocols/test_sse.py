import itertools

from hypothesis import given
from hypothesis import strategies as st

from workers.protocols.sse import events

STANDARD = (
    b"\xef\xbb\xbf: a comment\r\n\r\n"
    b"event: ping\rdata: one\r\r"
    b"data:two\ndata: three\nid: 7\n\n"
    b"retry: 10\n\n"
    b"data\n\n"
    b"\n\n\ndata:  four\r\n\r\n\r\n"
    b"data: five\r\ndata: six\r\n\r\n"
    b"data: cut off"
)
EXPECTED = [(b"one", b"ping"), (b"two\nthree", b""), (b"", b""), (b" four", b""), (b"five\nsix", b"")]


def cut(body: bytes, places: list[int]) -> list[tuple[int, bytes]]:
    edges = [0, *sorted(places), len(body)]
    return [(at, body[low:high]) for at, (low, high) in enumerate(itertools.pairwise(edges))]


def test_line_ends_comments_and_several_data_lines_are_read_as_the_standard_says():
    assert [(data, kind) for _, data, kind in events([(0, STANDARD)])] == EXPECTED


@given(st.lists(st.integers(0, len(STANDARD)), max_size=12))
def test_no_split_of_the_bytes_changes_the_events(places):
    assert [(data, kind) for _, data, kind in events(cut(STANDARD, places))] == EXPECTED


@given(st.lists(st.integers(0, 24), max_size=6))
def test_an_event_has_the_time_of_the_piece_in_which_its_blank_line_ended(places):
    body = b"data: a\n\ndata: b\r\n\r\n"[:21]
    pieces = cut(body, [min(place, len(body)) for place in places])
    ends = [9, len(body)]
    received = [sum(len(piece) for _, piece in pieces[: at + 1]) for at in range(len(pieces))]
    wanted = [next(at for at, count in enumerate(received) if count >= end) for end in ends]
    assert [at for at, _, _ in events(pieces)] == wanted


def test_merged_events_share_a_time_and_a_split_one_has_the_later():
    pieces = [(10, b"data: a\n\ndata: b\n\nda"), (20, b"ta: c\n"), (30, b"\n")]
    assert [(at, data) for at, data, _ in events(pieces)] == [(10, b"a"), (10, b"b"), (30, b"c")]


def test_an_event_without_its_blank_line_is_discarded_unless_it_is_done():
    assert not list(events([(0, b'data: {"a": 1}\n')]))
    assert [data for _, data, _ in events([(0, b"data: [DONE]")])] == [b"[DONE]"]
    assert [data for _, data, _ in events([(0, b"data: x\r\n\r\ndata: [DONE]\r\n")])] == [b"x", b"[DONE]"]


def test_nothing_at_all_has_no_events():
    assert not list(events([]))
    assert not list(events([(0, b"")]))
