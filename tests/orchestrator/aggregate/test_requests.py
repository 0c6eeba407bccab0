"""The slowest requests and the count of samples, however snapshots and parts are put together."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.aggregate.parts import encode_part, restore
from orchestrator.aggregate.totals import ActivityTotals, Aggregate, combined
from workers.contract.slowest import slowest_of
from workers.contract.snapshot import SlowRequest, Snapshot

slow_ones = st.lists(
    st.tuples(st.integers(0, 500), st.sampled_from(["ok", "timeout"])),
    max_size=60,
    unique_by=lambda one: one[0],
)


def snapshots(told: Sequence[tuple[int, str]]) -> list[Snapshot]:
    """Two shards tell of these requests in turn, seven at a time."""
    found = []
    for seq, first in enumerate(range(0, len(told), 7), start=1):
        shard = seq % 2
        requests = [
            SlowRequest(f"load/{index}/1", "", outcome, 0.0, index / 7, 0.0)
            for index, outcome in told[first : first + 7]
        ]
        found.append(
            Snapshot(
                "load", shard, f"load:{shard}:1", seq, 0.0, dispatched=0, sent=0, in_flight=[], cells=[],
                slowest=slowest_of(requests), sampled=len(requests),
            )
        )  # fmt: skip
    return found


@given(slow_ones)
def test_one_by_one_together_or_from_parts_they_are_the_same(told):
    sent = snapshots(told)
    one_by_one, together = ActivityTotals(), ActivityTotals()
    parts = []
    for snapshot in sent:
        one_by_one.add(snapshot)
        interval = Aggregate()
        interval.absorb(snapshot)
        parts.append(encode_part(interval))
    if sent:
        together.add(combined(sent))
    restored = restore(parts).of("load")
    whole = slowest_of(
        SlowRequest(f"load/{index}/1", "", outcome, 0.0, index / 7, 0.0) for index, outcome in told
    )
    for totals in (one_by_one, together, restored):
        assert totals.slowest == whole
        assert totals.sampled == len(told)
