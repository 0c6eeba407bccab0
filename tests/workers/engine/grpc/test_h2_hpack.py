"""Header blocks held against another implementation, which change the table in every way that there is."""

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.h2_frames import BrokenFramesError
from workers.engine.h2_hpack import HeadReader

PAIRS = st.tuples(
    st.sampled_from([":status", "a", "date", "x-long"]) | st.text("abc-", min_size=1, max_size=9),
    st.sampled_from(["200", "b", "v" * 900]) | st.text(st.characters(codec="latin-1"), max_size=300),
)
BLOCKS = st.lists(
    st.tuples(
        st.lists(st.tuples(PAIRS, st.booleans()), max_size=8),  # a pair, and whether it is a secret
        st.booleans(),  # Huffman coded
        st.none() | st.integers(0, 4096),  # a new size of the table
    ),
    max_size=12,
)


@given(BLOCKS)
def test_headers_mean_what_another_implementation_meant(blocks):
    encoder, reader = Encoder(), HeadReader()
    for pairs, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        wanted = [
            (name.encode("latin-1"), value.encode("latin-1"), secret) for (name, value), secret in pairs
        ]
        block = encoder.encode(wanted, huffman=huffman)
        assert reader.read(block) == [pair for pair, _ in pairs]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_as_another_implementation_reads_them_or_refused(blocks):
    theirs, ours = Decoder(max_header_list_size=256 * 1024), HeadReader()
    for block in blocks:
        try:
            wanted = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in theirs.decode(block, raw=True)]
        except (HPACKError, IndexError):
            with pytest.raises(BrokenFramesError, match="cannot be decoded"):
                ours.read(block)
            return
        try:
            assert ours.read(block) == wanted
        except BrokenFramesError:
            return  # it may be the stricter one


def test_a_block_that_comes_again_after_the_table_changed_is_read_anew():
    encoder, reader = Encoder(), HeadReader()
    first = encoder.encode([("a", "1")])
    assert reader.read(first) == [("a", "1")]
    again = encoder.encode([("a", "1")])
    assert [reader.read(again), reader.read(again)] == [[("a", "1")]] * 2
    reader.read(encoder.encode([("b", "2")]))
    assert reader.read(again) == [("b", "2")]  # entry 62 is another one now


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"\x80", "entry 0"),
        (b"\xff\xff\xff\xff\xff\xff\xff", "beyond 32 bits"),
        (b"\x00\x05ab", "inside a text"),
        (b"\xfe", "out of range"),
        (b"\x88\x20", "in the middle of a block"),
        (b"\x3f\xff\xff\x03", "4096 are allowed"),
        (b"\x40\x01a\x7f\xc9\x1e" + b"v" * 4000 + b"\xbe" * 300, "swell over 256 KiB"),
    ],
)
def test_a_block_beyond_the_rules_is_refused_and_says_why(block, why):
    with pytest.raises(BrokenFramesError, match=why):
        HeadReader().read(block)
