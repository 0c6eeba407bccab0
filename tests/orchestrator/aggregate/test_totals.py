from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.aggregate.totals import MOST_EXAMPLES, MOST_WARNINGS, ActivityTotals, Aggregate
from workers.contract.bounds import BoundCount
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import (
    ENDPOINT_GROUP,
    JUDGED,
    MOST_ENDPOINTS,
    WARMUP,
    CaseResult,
    Cell,
    ErrorExample,
    Snapshot,
)


@pytest.fixture
def totals():
    return ActivityTotals()


def test_a_repeated_snapshot_is_dropped(totals, snapshot, cell):
    assert totals.absorb(snapshot(1, [cell(0, ok=3)]))
    assert not totals.absorb(snapshot(1, [cell(0, ok=3)]))
    assert totals.outcomes() == {"ok": 3}


def test_a_hole_is_counted_and_what_came_after_it_kept(totals, snapshot, cell):
    totals.absorb(snapshot(1, [cell(0, ok=3)]))
    totals.absorb(snapshot(4, [cell(3, ok=2)]))
    assert totals.attempts["load:0:1"].holes == 2
    assert totals.outcomes() == {"ok": 5}


def test_attempts_are_numbered_each_for_itself(totals, snapshot, cell):
    totals.absorb(snapshot(5, [cell(0, ok=1)]))
    assert totals.absorb(snapshot(1, [cell(1, ok=1)], attempt="load:0:2"))
    assert totals.attempts["load:0:2"].holes == 0


def test_a_late_answer_changes_its_own_old_second(totals, snapshot, cell):
    totals.absorb(snapshot(1, [cell(0, ok=3, latencies=[0.1] * 3)]))
    totals.absorb(snapshot(2, [cell(0, ok=1, timeout=1, latencies=[2.0]), cell(1, ok=1)]))
    assert totals.seconds[JUDGED, 0].outcomes == {"ok": 4, "timeout": 1}
    assert totals.seconds[JUDGED, 0].sketches["latency"].count == 4


def test_groups_are_kept_apart(totals, snapshot, cell):
    totals.absorb(snapshot(1, [cell(0, WARMUP, ok=2), cell(0, ok=1), cell(0, "size=big", ok=1)]))
    assert totals.groups() == (WARMUP, JUDGED, "size=big")
    assert [totals.outcomes(name)["ok"] for name in totals.groups()] == [2, 1, 1]


def test_endpoints_of_all_shards_together_are_bounded_and_the_first_stay_whole(totals, snapshot, cell):
    for seq, shard in ((1, 0), (1, 1), (1, 2), (2, 0)):
        names = [f"{ENDPOINT_GROUP}GET /{shard}/{at}" for at in range(MOST_ENDPOINTS - 10)]
        cells = [cell(seq, ok=len(names)), *(cell(seq, name, ok=1) for name in names)]
        delta = totals.bounded(snapshot(seq, cells, attempt=f"load:{shard}:1", warnings=["a"]))
        totals.add(delta)
    told = [name for name in totals.groups() if name.startswith(ENDPOINT_GROUP)]
    assert len(told) == MOST_ENDPOINTS
    assert totals.outcomes(f"{ENDPOINT_GROUP}GET /0/0") == {"ok": 2}
    assert totals.outcomes() == {"ok": 4 * (MOST_ENDPOINTS - 10)}
    assert totals.warnings == [
        "a",
        f"requests have over {MOST_ENDPOINTS} names; only the first are told apart",
    ]


def test_an_endpoint_takes_the_memory_of_one_second(totals, snapshot, cell):
    name = f"{ENDPOINT_GROUP}GET /a"
    for seq in range(1, 100):
        totals.absorb(snapshot(seq, [cell(seq, ok=1), cell(seq, name, ok=1, latencies=[seq / 100])]))
    assert len(totals.group(JUDGED)) == 99
    (row,) = totals.group(name).values()
    assert (row.outcomes, row.sketches["latency"].count, row.sketches["latency"].high) == (
        {"ok": 99},
        99,
        0.99,
    )


def test_bounds_tokens_and_requests_in_flight_add_up_over_shards(totals, snapshot, cell):
    for shard in range(3):
        totals.absorb(
            snapshot(
                1,
                [Cell(0, JUDGED, {"ok": 2}, {"latency<1": BoundCount(2, 1, 0)}, {}, 5, 7, 1)],
                attempt=f"load:{shard}:1",
                running={0: 4},
                completions={1: 2},
            )
        )
    second = totals.seconds[JUDGED, 0]
    assert second.bounds["latency<1"] == BoundCount(6, 3, 0)
    assert (second.input_tokens, second.output_tokens, second.ok_without_tokens) == (15, 21, 3)
    assert (totals.running, totals.completions) == ({0: 12}, {1: 6})


def test_the_first_result_of_a_case_wins(totals, snapshot):
    def case(*, passed):
        return CaseResult(7, "id-7", "ok", passed, "", 0.1)

    totals.absorb(snapshot(1, cases=[case(passed=False)]))
    totals.absorb(snapshot(1, attempt="load:0:2", cases=[case(passed=True)]))
    assert totals.cases[7].passed is False


def test_the_first_start_lag_of_an_attempt_is_kept(totals, snapshot):
    for seq, lag_s in enumerate([None, 0.02, 0.5], start=1):
        totals.absorb(snapshot(seq, start_lag_s=lag_s))
    assert totals.attempts["load:0:1"].start_lag_s == 0.02


def test_a_failure_seen_before_is_no_new_example(totals, snapshot):
    for seq in range(1, 4):
        totals.absorb(snapshot(seq, examples=[ErrorExample("reset", "gone", f"a/{seq}/1", 0.0)] * 2))
    assert [one.request_id for one in totals.examples] == ["a/1/1"]


def test_examples_and_warnings_are_bounded(totals, snapshot):
    for seq in range(1, 5):
        examples = [ErrorExample("reset", f"gone {seq}/{n}", f"{seq}/{n}", 0.0) for n in range(30)]
        totals.absorb(snapshot(seq, examples=examples, warnings=[f"{seq}/{n}" for n in range(9)] + ["same"]))
    assert len(totals.examples) == MOST_EXAMPLES
    assert len(totals.warnings) == MOST_WARNINGS
    assert totals.warnings.count("same") == 1


def filled(totals, snapshot, cell, seconds):
    cells = [cell(s, ok=2, latencies=[0.1 + s / 1000, 0.2], bounds={"b": (2, 1, 1)}) for s in range(seconds)]
    totals.absorb(snapshot(1, cells))


def test_coarsening_keeps_every_count_and_the_whole_distribution(totals, snapshot, cell):
    filled(totals, snapshot, cell, 60)
    before = {key: (dict(row.outcomes), dict(row.bounds)) for key, row in totals.seconds.items()}
    whole = totals.sketch("latency")
    totals.coarsen(before_s=35, keep=())
    assert {key: (dict(row.outcomes), dict(row.bounds)) for key, row in totals.seconds.items()} == before
    merged, exact = to_wire(totals.sketch("latency")), to_wire(whole)
    assert (merged.keys, merged.counts, merged.low, merged.high) == (
        exact.keys,
        exact.counts,
        exact.low,
        exact.high,
    )
    assert merged.total == pytest.approx(exact.total)
    having = [second for (_, second), row in totals.seconds.items() if row.sketches]
    assert having == [0, 10, 20, 30, *range(35, 60)]


def test_coarsening_again_and_late_deltas_lose_nothing(totals, snapshot, cell):
    filled(totals, snapshot, cell, 40)
    totals.coarsen(before_s=20, keep=())
    totals.absorb(snapshot(2, [cell(13, ok=1, latencies=[3.0])]))
    totals.coarsen(before_s=40, keep=())
    assert totals.sketch("latency").count == 81
    assert totals.sketch("latency").high == 3.0


def test_seconds_near_a_fault_stay_as_they_are(totals, snapshot, cell):
    filled(totals, snapshot, cell, 300)
    totals.coarsen(before_s=300, keep=((145.0, 147.0),))
    fine = [second for (_, second), row in totals.seconds.items() if row.sketches and second % 10]
    assert fine[0] <= 85
    assert fine[-1] >= 207
    # a block that a fault's neighbourhood touches takes nothing in from outside it
    assert all(totals.seconds[JUDGED, s].sketches["latency"].count == 2 for s in range(85, 208))


CELLS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["", "warmup"]),
        st.sampled_from(["ok", "reset"]),
        st.integers(1, 5),
    ),
    max_size=5,
)


@given(st.lists(CELLS, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_snapshots_does_not_matter(reports, dice):
    def added(order):
        aggregate = Aggregate()
        for shard in order:
            cells = [
                Cell(
                    second, group, {outcome: count}, {}, {"latency": to_wire(sketch_of([count / 7] * count))}
                )
                for second, group, outcome, count in reports[shard]
            ]
            assert aggregate.absorb(Snapshot("load", shard, f"load:{shard}:1", 1, 0.0, 0, 0, [], cells))
        totals = aggregate.of("load")
        rows = {
            key: (dict(row.outcomes), row.sketches["latency"].count) for key, row in totals.seconds.items()
        }
        return rows, totals.outcomes("") + totals.outcomes("warmup")

    shuffled = list(range(len(reports)))
    dice.shuffle(shuffled)
    assert added(range(len(reports))) == added(shuffled)
    every = Counter()
    for cells in reports:
        for _, _, outcome, count in cells:
            every[outcome] += count
    assert added(shuffled)[1] == every


def test_the_last_number_of_each_attempt_is_known(snapshot):
    aggregate = Aggregate()
    aggregate.absorb(snapshot(1))
    aggregate.absorb(snapshot(3, attempt="load:1:1"))
    assert aggregate.seqs() == {"load:0:1": 1, "load:1:1": 3}
