import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.contract.errors import DataError
from workers.contract.files.traces import hold, is_coarse, load, pack, times_of, trace_of, unpack
from workers.contract.schedule import (
    arrivals_between,
    blocks,
    cumulated,
    fingerprint,
    peak_per_s,
    per_second,
    rate_at,
    recorded,
    shard_blocks,
)

S = 1_000_000_000
speeds = st.sampled_from([0.5, 1.0, 2.0, 3.7, 100.0])


@st.composite
def streams(draw):
    """Recorded times in some unit, the first at 0; several may come at once."""
    unit_ns = draw(st.sampled_from([1, 100, 1000, 1_000_000, S]))
    gaps = draw(st.lists(st.integers(0, 3 * S // unit_ns), min_size=1, max_size=60))
    return np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64) * unit_ns


def replayed(times, speed=1.0):
    """The schedule of a recording, and what has to be held for it."""
    trace = trace_of(times, packed=pack(times), name="t.csv", speed=speed)
    return recorded(trace, stream="load"), hold(trace, times)


def whole(stream):
    got = list(stream)
    if not got:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([one.indices for one in got]), np.concatenate([one.times_ns for one in got])


@given(streams())
def test_times_are_unpacked_as_they_were_packed(times):
    assert unpack(pack(times), name="t.csv").tolist() == times.tolist()


def test_a_busy_trace_packs_into_less_than_three_bytes_an_arrival():
    gaps = np.random.default_rng(1).exponential(1 / 28, 200_000)
    times = np.cumsum(np.rint(gaps * 1e7).astype(np.int64)) * 100
    assert len(pack(times - times[0])) < 3 * len(times)


@pytest.mark.parametrize(
    "spoil", [lambda b: b"", lambda b: b[:-9], lambda b: b[:40] + b"\0" + b[41:], bytes.upper]
)
def test_packed_times_that_were_spoilt_are_refused(spoil):
    packed = pack(np.arange(100, dtype=np.int64) * 12_345_678)
    with pytest.raises(DataError, match=r"the packed times of t.csv are"):
        unpack(spoil(packed), name="t.csv")


def test_packed_times_cannot_unfold_into_more_than_a_trace_may_hold():
    import zlib

    packed = pack(np.arange(10, dtype=np.int64))
    with pytest.raises(DataError, match="cut short"):
        unpack(packed[:33] + zlib.compress(b"\0" * (200 * 2**20)), name="t.csv")


@given(streams(), speeds, st.sampled_from([1, 2, 3, 7]))
@settings(deadline=None)
def test_any_split_of_a_trace_offers_what_one_worker_would(times, speed, of):
    arrivals, held = replayed(times, speed)
    parts = [whole(shard_blocks(arrivals, shard=shard, of=of)) for shard in range(of)]
    indices = np.concatenate([one for one, _ in parts])
    order = np.argsort(indices)
    assert indices[order].tolist() == list(range(len(times)))
    assert np.concatenate([one for _, one in parts])[order].tolist() == held.tolist()
    assert held.tolist() == np.rint(times / speed).astype(np.int64).tolist()


@given(streams(), speeds, st.integers(0, 40), st.floats(0, 1))
@settings(deadline=None)
def test_every_question_to_a_schedule_is_answered_from_the_times(times, speed, from_index, part):
    arrivals, held = replayed(times, speed)
    until_s = part * arrivals.duration_s
    until_ns = round(until_s * 1e9)
    counts = per_second(arrivals)
    assert held[-1] < arrivals.duration_s * 1e9
    assert counts.sum() == len(times) == cumulated(arrivals, arrivals.duration_s)
    assert counts.tolist() == np.bincount(held // S, minlength=len(counts)).tolist()
    assert cumulated(arrivals, until_s) == int((held < until_ns).sum())
    assert rate_at(arrivals, 0.3) == counts[0]
    block = arrivals_between(arrivals, shard=1, of=2, from_index=from_index, until_ns=until_ns)
    wanted = [i for i in range(len(times)) if i % 2 == 1 and i >= from_index and held[i] < until_ns]
    assert block.indices.tolist() == wanted
    assert peak_per_s(arrivals) == max(int(((held >= at) & (held < at + S)).sum()) for at in held)


def test_a_trace_of_several_blocks_is_one_stream():
    times = np.arange(200_000, dtype=np.int64) * 1000
    arrivals, held = replayed(times)
    indices, got = whole(blocks(arrivals))
    assert indices.tolist() == list(range(200_000))
    assert got.tolist() == held.tolist()


@pytest.mark.parametrize(
    ("last_s", "speed", "duration_s"),
    [(10.0, 1.0, 10.001), (10.0, 4.0, 2.501), (0.2, 1.0, 1.0), (0.0, 1.0, 1.0)],
)
def test_a_trace_lasts_until_its_last_arrival_is_inside_and_one_second_at_least(last_s, speed, duration_s):
    times = np.array([0, round(last_s * S)], np.int64)
    assert trace_of(times, packed=b"", name="t", speed=speed).duration_s == pytest.approx(duration_s)


def test_the_fingerprint_is_that_of_content_and_speed():
    times = np.arange(50, dtype=np.int64) * 10**7
    other = times.copy()
    other[20] += 5
    kept = [replayed(times), replayed(times, 2.0), replayed(other)]
    assert len({fingerprint(arrivals) for arrivals, _ in kept}) == 3
    assert fingerprint(replayed(times)[0]) == fingerprint(kept[0][0])


def test_times_are_known_as_long_as_somebody_holds_them():
    times = np.arange(5, dtype=np.int64) * 777
    trace = trace_of(times, packed=pack(times), name="t.csv", speed=2.0)
    with pytest.raises(DataError, match=r"the times of t.csv are not here"):
        times_of(trace)
    held = hold(trace, times)
    assert times_of(trace) is held is hold(trace, times)
    del held
    gc.collect()
    with pytest.raises(DataError):
        next(blocks(recorded(trace, stream="load")))


def test_an_engine_reads_them_from_their_packed_file(tmp_path):
    times = np.array([0, 5, 9_000_000_000], np.int64)
    (tmp_path / "packed").write_bytes(pack(times))
    trace = trace_of(times, packed=pack(times), name="t.csv")
    held = load(trace, tmp_path / "packed")
    assert held.tolist() == times.tolist()
    assert load(trace, tmp_path / "gone") is held
    other = trace_of(times[:2], packed=b"", name="u.csv")
    with pytest.raises(DataError, match=r"u.csv has 3 arrivals where 2 were planned"):
        load(other, tmp_path / "packed")
    with pytest.raises(DataError, match=r"of u.csv cannot be read: No such file"):
        load(other, tmp_path / "gone")


def test_whole_seconds_are_told_from_finer_times():
    assert is_coarse(trace_of(np.array([0, 2 * S, 3 * S]), packed=b"", name="t"))
    assert not is_coarse(trace_of(np.array([0, 2 * S, 3 * S + 1]), packed=b"", name="t"))
