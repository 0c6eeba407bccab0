import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.samples import (
    Sample,
    SpoolHeader,
    encode,
    frame,
    gap_bytes,
    gaps_of,
    picks,
    read_spool,
    trace_id,
)

HEADER = SpoolHeader("trial", "peak", "surge", 0, 1, "surge:0:1", 100.0, 0.0, "memory://x", 0)


def sample(index: int) -> Sample:
    return Sample(
        index, f"surge/{index}/1", 0.5, 0.6, 0.0, 0.0, 0.1, 0.3, 0.2, None, None, None, None, b"", None, None,
        200, "ok", "", {}, "",
    )  # fmt: skip


@given(st.integers(0, 2**63 - 1), st.sampled_from([0.001, 0.01, 0.1, 0.5]))
def test_a_share_of_the_requests_is_picked_and_the_more_the_larger(seed, share):
    few = {index for index in range(20_000) if picks(seed, index, share)}
    more = {index for index in range(20_000) if picks(seed, index, share * 1.5)}
    assert few <= more
    deviation = (20_000 * share * (1 - share)) ** 0.5
    assert abs(len(few) - 20_000 * share) < 6 * deviation + 1


def test_every_split_picks_the_same_and_no_shard_gets_more_than_its_part():
    whole = [index for index in range(40_000) if picks(7, index, 0.1)]
    for of in (2, 3, 7, 10):
        parts = [sum(index % of == shard for index in whole) for shard in range(of)]
        assert max(parts) < 1.35 * len(whole) / of


def test_all_is_all_and_another_seed_picks_others():
    assert all(picks(3, index, 1.0) for index in range(1000))
    one, other = ({index for index in range(10_000) if picks(seed, index, 0.1)} for seed in (1, 2))
    assert len(one & other) < len(one) / 4


def test_a_spool_file_is_read_up_to_where_its_engine_died(tmp_path):
    path = tmp_path / "x.open"
    whole = frame(encode(HEADER)) + frame(encode([sample(0), sample(1)]))
    last = frame(encode([sample(2)]))
    for cut in range(len(last)):
        path.write_bytes(whole + last[:cut])
        header, frames = read_spool(path)
        assert header == HEADER
        assert [one.index for samples in frames for one in samples] == [0, 1]
    path.write_bytes(whole + last)
    assert [one.index for samples in read_spool(path)[1] for one in samples] == [0, 1, 2]


def test_a_spool_file_without_a_header_says_so(tmp_path):
    path = tmp_path / "x.open"
    path.write_bytes(frame(encode(HEADER))[:-1])
    with pytest.raises(ValueError, match="cut short"):
        read_spool(path)


@given(st.lists(st.floats(0, 100, width=32)))
def test_gaps_come_back_as_they_went(gaps):
    assert list(gaps_of(gap_bytes(tuple(gaps)))) == gaps


def test_a_trace_id_is_32_hexadecimal_digits_of_campaign_and_request():
    first = trace_id("c-1", "surge/1/1")
    assert len(first) == 32
    assert int(first, 16)
    assert first != trace_id("c-2", "surge/1/1")
