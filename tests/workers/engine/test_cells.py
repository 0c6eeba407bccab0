"""Requests counted the short way and the long way come to the same cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.bounds import Bound, Limit
from workers.contract.sketch import from_wire
from workers.engine.cells import PLAIN
from workers.engine.measure import Measured, count, count_plain
from workers.engine.recorder import Recorder

SERIES = ("latency", "service_time", "wait", "ttft", "itl")
MS = 1_000_000

limits = st.builds(
    Limit, st.sampled_from(SERIES), st.sampled_from(["<", "<="]), st.sampled_from([0.001, 0.0025, 0.004])
)
bounds = st.lists(
    st.one_of(
        st.builds(lambda limit: Bound((limit,)), limits),
        st.lists(limits, min_size=1, max_size=3).map(lambda many: Bound(tuple(many), goodput=True)),
    ),
    max_size=4,
)
values = st.one_of(st.integers(0, 6 * MS), st.sampled_from([MS, 5 * MS // 2, 4 * MS]))
requests = st.lists(st.tuples(values, values, values, values, st.integers(-MS, 3 * MS), st.integers(0, MS)))


def measured(times):
    latency, service, wait, connect, lag, delay = (value / 1e9 for value in times)
    return Measured("ok", latency, service_time=service, wait=wait, connect=connect, lag=lag, own_delay=delay)


@given(bounds, requests)
def test_plain_requests_count_against_every_bound_as_any_other(some, asked):
    recorder = Recorder(some)
    for times in asked:
        counted = recorder.counted_plain(times)
        assert list(counted) == [count(bound, measured(times)) for bound in some]
        assert list(counted) == count_plain(some, times)


@given(bounds, requests, st.booleans())
def test_plain_and_measured_requests_give_the_same_cell(some, asked, mixed):
    short, long = Recorder(some), Recorder(some)
    for number, times in enumerate(asked):
        sample = measured(times)
        for recorder in (short, long):
            if recorder is long or (mixed and number % 2):
                recorder.ended(
                    3, ("",), sample=sample, sent=True, counted=recorder.counted(sample), tokens=(1, None)
                )
            else:
                counted = recorder.counted_plain(times)
                recorder.ended_plain(3, ("",), times=times, counted=counted, tokens=(1, None))
    left, right = short.drain(), long.drain()
    assert len(left) == len(right) == bool(asked)
    for one, other in zip(left, right, strict=True):
        assert one.outcomes == other.outcomes == {"ok": len(asked)}
        assert (one.bounds, one.input_tokens, one.ok_without_tokens) == (
            other.bounds, other.input_tokens, other.ok_without_tokens
        )  # fmt: skip
        assert set(one.sketches) == set(other.sketches) == set(PLAIN)
        for name, sketch in one.sketches.items():
            assert sketch.total == pytest.approx(other.sketches[name].total)
            assert (sketch.counts, sketch.keys) == (other.sketches[name].counts, other.sketches[name].keys)


def test_streams_have_their_own_series_beside():
    recorder = Recorder(())
    stream = Measured(
        "ok", 1.0, ttft=0.2, ttft_sent=0.1, tpot=0.01, itl=(0.01, 0.02), decode=0.03, per_token=0.04
    )
    recorder.ended(0, ("",), sample=stream, sent=True, counted=[], tokens=(5, 3))
    (cell,) = recorder.drain()
    highs = {name: from_wire(sketch).high for name, sketch in cell.sketches.items()}
    assert highs == {
        "latency": 1.0, "service_time": 0.0, "wait": 0.0, "connect": 0.0, "lag": 0.0, "own_delay": 0.0,
        "ttft": 0.2,
        "ttft_sent": 0.1, "tpot": 0.01, "itl": 0.02, "decode": 0.03, "per_token": 0.04,
    }  # fmt: skip
    assert (cell.output_tokens, cell.ok_without_tokens) == (3, 0)
