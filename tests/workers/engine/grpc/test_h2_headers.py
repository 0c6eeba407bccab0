import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.h2_headers import RequestHead, timeout_value
from workers.protocols.contract import Request

CALL = Request("POST", "/a.B/C", b"", (), stream=False)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20).map("x-".__add__)
VALUES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=300).map(str.strip)


@given(st.dictionaries(NAMES, VALUES, max_size=6), st.dictionaries(NAMES, VALUES, max_size=2))
def test_another_implementation_reads_our_headers_whatever_it_read_before(block, own):
    head = RequestHead("h:1", secure=True, timeout_s=1.0)
    lines = "".join(f"{name.title()}: {value}\r\n" for name, value in block.items()).encode()
    mine = "".join(f"{name}: {value}\r\n" for name, value in own.items()).encode()
    decoder = Decoder()
    for _ in range(2):
        found = decoder.decode(head.encode(CALL, lines, mine))
        assert found[:4] == [
            (":method", "POST"), (":scheme", "https"), (":path", "/a.B/C"), (":authority", "h:1"),
        ]  # fmt: skip
        assert [pair for pair in found if pair[0].startswith("x-")] == [*block.items(), *own.items()]


def test_a_secret_is_marked_so_that_no_proxy_keeps_it_in_a_table():
    found = Decoder().decode(
        RequestHead("h", secure=False, timeout_s=1.0).encode(CALL, b"authorization: s\r\n")
    )
    assert {pair[0]: pair.indexable for pair in found}["authorization"] is False


@pytest.mark.parametrize(
    ("timeout_s", "value"),
    [
        (0.25, b"250000u"),
        (0.0000001, b"1u"),
        (60, b"60000000u"),
        (100, b"100000m"),
        (1e5, b"100000S"),
        (1e9, b"99999999S"),
    ],
)
def test_a_deadline_has_at_most_eight_digits(timeout_s, value):
    assert timeout_value(timeout_s) == value
