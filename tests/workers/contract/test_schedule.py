import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workers.contract.schedule import (
    OpenArrivals,
    Segment,
    arrivals_between,
    blocks,
    cumulated,
    fingerprint,
    peak_per_s,
    per_second,
    rate_at,
    shard_blocks,
)

PROCESSES = ("constant", "poisson", "gamma")
rates = st.sampled_from([0.0, 0.5, 3.0, 20.0, 47.3])
lengths = st.sampled_from([0.5, 1.0, 2.5, 7.0])


@st.composite
def schedules(draw):
    """Stages with ramps between them; the rate may start at 0 and may fall."""
    segments, at_s, before = [], 0.0, 0.0
    for _ in range(draw(st.integers(1, 4))):
        length_s, rate = draw(lengths), draw(rates)
        start = before if draw(st.booleans()) else rate
        segments.append(Segment(at_s, at_s + length_s, start, rate))
        at_s, before = at_s + length_s, rate
    assume(any(one.from_per_s + one.to_per_s > 0 for one in segments))
    return OpenArrivals(
        draw(st.sampled_from(PROCESSES)),
        tuple(segments),
        seed=draw(st.integers(0, 99)),
        stream="s",
        burstiness=0.5,
    )


def steady(process, rate, duration_s, *, seed=1, stream="s", burstiness=1.0):
    return OpenArrivals(process, (Segment(0.0, duration_s, rate, rate),), seed, stream, burstiness)


def whole(stream):
    """All indices and times of a stream of blocks."""
    got = list(stream)
    if not got:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([one.indices for one in got]), np.concatenate([one.times_ns for one in got])


@given(schedules(), st.sampled_from([1, 2, 3, 7]))
@settings(max_examples=60, deadline=None)
def test_any_split_offers_what_one_worker_would(arrivals, of):
    indices, times = whole(blocks(arrivals))
    parts = [whole(shard_blocks(arrivals, shard=shard, of=of)) for shard in range(of)]
    every = sorted((int(i), int(t)) for index, time in parts for i, t in zip(index, time, strict=True))
    assert every == list(zip(indices.tolist(), times.tolist(), strict=True))
    assert all((index % of == shard).all() for shard, (index, _) in enumerate(parts))


@given(schedules())
@settings(max_examples=60, deadline=None)
def test_arrivals_come_in_order_inside_the_schedule_and_are_the_same_every_time(arrivals):
    indices, times = whole(blocks(arrivals))
    assert (np.diff(times) >= 0).all()
    assert indices.tolist() == list(range(len(times)))
    assert ((times >= 0) & (times < arrivals.duration_s * 1e9)).all()
    assert np.array_equal(times, whole(blocks(arrivals))[1])


@given(schedules())
@settings(max_examples=60, deadline=None)
def test_the_kth_constant_arrival_is_at_the_kth_unit_of_the_cumulated_rate(arrivals):
    constant = OpenArrivals("constant", arrivals.segments, 1, "s")
    _, times = whole(blocks(constant))
    assert abs(len(times) - math.ceil(cumulated(constant, constant.duration_s) - 1e-9)) <= 1
    for k, time_ns in enumerate(times.tolist()):
        # a nanosecond either way, at the steepest rate that there is
        assert cumulated(constant, time_ns / 1e9) == pytest.approx(k, abs=1e-8 * (1 + peak_per_s(constant)))


def test_a_constant_rate_sends_the_first_at_zero_and_then_at_equal_distances():
    _, times = whole(blocks(steady("constant", 4.0, 2.0)))
    assert times.tolist() == [250_000_000 * k for k in range(8)]


def test_a_ramp_from_nothing_follows_the_square_root_of_its_number():
    ramp = OpenArrivals("constant", (Segment(0.0, 10.0, 0.0, 20.0),), 1, "s")
    _, times = whole(blocks(ramp))
    assert times / 1e9 == pytest.approx([math.sqrt(k) for k in range(100)])


def test_a_span_without_any_rate_has_no_arrivals_and_those_after_it_are_not_lost():
    arrivals = OpenArrivals(
        "constant",
        (Segment(0.0, 1.0, 5.0, 5.0), Segment(1.0, 3.0, 0.0, 0.0), Segment(3.0, 4.0, 5.0, 5.0)),
        1,
        "s",
    )
    assert per_second(arrivals).tolist() == [5, 0, 0, 5]


@pytest.mark.parametrize(
    ("process", "burstiness", "dispersion"),
    [("constant", 1.0, 0.0), ("poisson", 1.0, 1.0), ("gamma", 0.25, 4.0), ("gamma", 4.0, 0.25)],
)
def test_each_process_has_its_rate_and_its_dispersion(process, burstiness, dispersion):
    counts = per_second(steady(process, 100.0, 2000.0, burstiness=burstiness))
    assert counts.mean() == pytest.approx(100.0, rel=0.02)
    assert counts.var() / counts.mean() == pytest.approx(dispersion, rel=0.15, abs=0.02)


@pytest.mark.parametrize("shape", [0.25, 0.5, 1.0, 4.0])
def test_gaps_of_a_gamma_process_are_as_bursty_as_its_shape_says(shape):
    _, times = whole(blocks(steady("gamma", 200.0, 1000.0, burstiness=shape)))
    gaps = np.diff(times) / 1e9
    assert gaps.mean() == pytest.approx(1 / 200.0, rel=0.02)
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(1 / shape, rel=0.05)
    assert np.corrcoef(gaps[:-1], gaps[1:])[0, 1] == pytest.approx(0.0, abs=0.02)


def test_a_gamma_process_keeps_its_burstiness_on_a_ramp():
    ramp = OpenArrivals("gamma", (Segment(0.0, 400.0, 0.0, 400.0),), 3, "s", 0.25)
    _, times = whole(blocks(ramp))
    units = 400.0 * (times / 1e9) ** 2 / (2 * 400.0)  # the cumulated rate: there the process is steady
    gaps = np.diff(units)
    assert len(times) == pytest.approx(cumulated(ramp, 400.0), rel=0.03)
    assert gaps.mean() == pytest.approx(1.0, rel=0.03)
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(4.0, rel=0.06)


def test_gaps_of_a_poisson_process_are_exponential():
    _, times = whole(blocks(steady("poisson", 50.0, 1000.0)))
    gaps = np.diff(times) / 1e9 * 50.0
    assert np.quantile(gaps, [0.5, 0.9, 0.99]) == pytest.approx(-np.log([0.5, 0.1, 0.01]), rel=0.05)


def test_streams_and_seeds_are_independent_of_each_other():
    one = whole(blocks(steady("poisson", 50.0, 100.0)))[1]
    for other in (steady("poisson", 50.0, 100.0, seed=2), steady("poisson", 50.0, 100.0, stream="t")):
        times = whole(blocks(other))[1]
        assert not np.array_equal(times[:50], one[:50])


def test_a_schedule_of_several_blocks_is_one_stream():
    indices, times = whole(blocks(steady("poisson", 2000.0, 100.0)))
    assert len(indices) > 3 * 65_536 - 20_000
    assert indices.tolist() == list(range(len(indices)))
    assert np.diff(times).min() >= 0


@given(schedules(), st.sampled_from([1, 2, 3]), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_resumed_shard_takes_exactly_what_is_due_from_then_on(arrivals, of, part):
    from_ns = round(part * arrivals.duration_s * 1e9)
    for shard in range(of):
        indices, times = whole(shard_blocks(arrivals, shard=shard, of=of))
        left, _ = whole(shard_blocks(arrivals, shard=shard, of=of, from_ns=from_ns))
        assert left.tolist() == indices[times >= from_ns].tolist()


@given(schedules(), st.integers(0, 40), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_arrivals_between_an_index_and_a_time_are_those_of_the_stream(arrivals, from_index, part):
    until_ns = round(part * arrivals.duration_s * 1e9)
    indices, times = whole(shard_blocks(arrivals, shard=1, of=2))
    block = arrivals_between(arrivals, shard=1, of=2, from_index=from_index, until_ns=until_ns)
    wanted = (indices >= from_index) & (times < until_ns)
    assert block.indices.tolist() == indices[wanted].tolist()
    assert block.times_ns.tolist() == times[wanted].tolist()


@given(schedules())
@settings(max_examples=40, deadline=None)
def test_counts_by_second_are_those_of_the_stream(arrivals):
    _, times = whole(blocks(arrivals))
    counts = per_second(arrivals)
    assert counts.sum() == len(times)
    assert all(
        int(((times >= s * 10**9) & (times < (s + 1) * 10**9)).sum()) == count
        for s, count in enumerate(counts.tolist())
    )


@given(schedules(), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_cumulated_rate_is_the_integral_of_the_rate(arrivals, part):
    until_s = part * arrivals.duration_s
    edges = np.linspace(0.0, until_s, 4001)
    width = until_s / 4000
    total = sum(rate_at(arrivals, (left + right) / 2) for left, right in pairwise(edges))
    assert cumulated(arrivals, until_s) == pytest.approx(total * width, abs=0.2, rel=0.01)


def test_the_fingerprint_tells_schedules_apart_and_is_the_same_for_the_same():
    one = steady("poisson", 50.0, 100.0)
    assert fingerprint(one) == fingerprint(steady("poisson", 50.0, 100.0))
    others = [
        steady("poisson", 50.0, 100.0, seed=2),
        steady("poisson", 51.0, 100.0),
        steady("poisson", 50.0, 101.0),
        steady("gamma", 50.0, 100.0, burstiness=2.0),
        steady("constant", 50.0, 100.0),
    ]
    assert len({fingerprint(each) for each in (one, *others)}) == 6
