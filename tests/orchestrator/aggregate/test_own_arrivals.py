import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.aggregate import own_arrivals
from orchestrator.aggregate.own_arrivals import ALL, Ask, answer_all
from workers.contract import schedule
from workers.contract.schedule import OpenArrivals, Segment, arrivals_between

LENGTH_S = 20.0


def arrivals(process="poisson", rate=50.0):
    return OpenArrivals(process, (Segment(0.0, LENGTH_S, rate, 2 * rate),), 3, "load")


def answers(found, asks):
    """What asks it, one after another, and keeps the answers."""
    for ask in asks:
        found.append((ask, (yield ask)))


@pytest.fixture(autouse=True)
def _many_small_blocks(monkeypatch):
    monkeypatch.setattr(schedule, "BLOCK", 64)


asks = st.builds(
    Ask,
    shard=st.integers(0, 4),
    from_index=st.integers(0, 2000),
    below_index=st.integers(0, 2000) | st.just(ALL),
    from_ns=st.integers(0, round(LENGTH_S * 1e9)),
    until_ns=st.integers(0, round(LENGTH_S * 1e9)) | st.just(ALL),
)


@given(st.lists(st.lists(asks, max_size=3), max_size=5), st.sampled_from(["poisson", "constant"]))
def test_each_ask_is_answered_with_what_the_shards_own_schedule_has(by_shard, process):
    found = []
    answer_all(arrivals(process), of=5, askings=(answers(found, some) for some in by_shard))
    assert len(found) == sum(map(len, by_shard))
    for ask, block in found:
        own = arrivals_between(
            arrivals(process), shard=ask.shard, of=5, from_index=ask.from_index, until_ns=ask.until_ns
        )
        keep = (own.indices < ask.below_index) & (own.times_ns >= ask.from_ns)
        assert np.array_equal(block.indices, own.indices[keep])
        assert np.array_equal(block.times_ns, own.times_ns[keep])


def test_the_schedule_is_drawn_once_for_all_shards_and_no_further_than_anybody_asks(monkeypatch):
    drawn = []

    def counted(*given_):
        for block in schedule.blocks(*given_):
            drawn.append(int(block.times_ns[0]))
            yield block

    monkeypatch.setattr(own_arrivals, "blocks", counted)
    found = []
    until_ns = 2 * 10**9
    wanted = [Ask(shard, until_ns=until_ns) for shard in range(5)]
    answer_all(arrivals(), of=5, askings=(answers(found, [ask]) for ask in wanted))
    assert drawn == sorted(set(drawn))
    assert sum(at_ns >= until_ns for at_ns in drawn) == 1
    whole = sorted(index for _, block in found for index in block.indices.tolist())
    assert whole == list(range(len(whole)))
