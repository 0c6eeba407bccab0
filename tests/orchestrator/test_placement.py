from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.placement import Want, misses, place_again, place_phase, select, shard_count
from orchestrator.plan import ActivityPlan, Where
from workers.contract.facts import WorkerCard
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment

LOAD = ActivityPlan(
    key="load", name="load", phase="p", kind="load", target="t", where=Where(), shards=None, needs_engine=True
)
CHAOS = replace(LOAD, key="hang", name="hang", kind="chaos", needs_engine=False)
TELEMETRY = replace(CHAOS, key="readings", name="readings", kind="telemetry")


def rate(per_s):
    return OpenArrivals("poisson", (Segment(0.0, 10.0, per_s, per_s),), seed=1, stream="load")


def fleet_of(card, *names, **given_):
    return [card(name, **given_) for name in names]


def placed(assignments):
    return {(one.activity, one.shard): one.worker for one in assignments}


def test_where_selects_workers_that_meet_all_of_it_by_name(card):
    fleet = [
        card("c", labels=("fast",), gpus=("h", "h")),
        card("a", labels=("fast", "eu"), gpus=("h",)),
        card("b", labels=("eu",), gpus=("h", "h")),
    ]
    assert [one.worker for one in select(Where(), fleet, seed=1, activity="x")] == ["a", "b", "c"]
    assert [one.worker for one in select(Where(labels=("fast",)), fleet, seed=1, activity="x")] == ["a", "c"]
    both = Where(labels=("fast",), gpus=2)
    assert [one.worker for one in select(both, fleet, seed=1, activity="x")] == ["c"]
    assert [one.worker for one in select(Where(hosts=("host-b",)), fleet, seed=1, activity="x")] == ["b"]


def test_at_most_counts_hosts_and_a_share_is_rounded_down_but_never_to_none(card):
    fleet = [card(f"w{n}", host=f"h{n // 2}") for n in range(10)]
    two = select(Where(at_most_hosts=2), fleet, seed=1, activity="x")
    assert len({one.host for one in two}) == 2
    assert len(two) == 4
    assert len({one.host for one in select(Where(at_most_share=0.5), fleet, seed=1, activity="x")}) == 2
    assert len({one.host for one in select(Where(at_most_share=0.01), fleet, seed=1, activity="x")}) == 1


def test_which_hosts_at_most_cuts_to_follows_from_seed_and_activity_alone(card):
    fleet = [card(f"w{n}") for n in range(8)]
    where = Where(at_most_hosts=1)
    chosen = [select(where, order, seed=3, activity="x") for order in (fleet, fleet[::-1])]
    assert chosen[0] == chosen[1]
    assert len({select(where, fleet, seed=seed, activity="x")[0].worker for seed in range(40)}) > 3
    assert len({select(where, fleet, seed=3, activity=name)[0].worker for name in "abcdefghij"}) > 1


def test_a_draining_worker_fits_nowhere_and_is_said_to_drain(card):
    assert misses(Where(), card("a", draining=True)) == ["is draining"]


def test_auto_makes_a_shard_a_worker_but_none_with_under_ten_a_second():
    assert shard_count(replace(LOAD, arrivals=rate(1000)), 7) == 7
    assert shard_count(replace(LOAD, arrivals=rate(35)), 7) == 3
    assert shard_count(replace(LOAD, arrivals=rate(2)), 7) == 1
    assert shard_count(replace(LOAD, shards=4), 7) == 4
    assert shard_count(replace(LOAD, arrivals=ClosedArrivals(3, 0.0, 9.0), units=3), 7) == 3


def test_shards_are_spread_evenly_over_the_selected_workers(card):
    activity = replace(LOAD, shards=7)
    placement = place_phase([activity], fleet_of(card, "a", "b", "c", slots=5), busy={}, seed=1)
    counts = sorted([one.worker for one in placement.assignments].count(name) for name in "abc")
    assert counts == [2, 2, 3]


def test_slots_taken_by_other_campaigns_are_left_alone(card):
    activity = replace(LOAD, shards=3)
    placement = place_phase([activity], fleet_of(card, "a", "b", slots=2), busy={"a": 1}, seed=1)
    assert [one.worker for one in placement.assignments].count("a") == 1


def test_a_phase_is_placed_whole_or_not_at_all_and_says_what_is_missing(card):
    wide = replace(LOAD, key="wide", shards=5)
    placement = place_phase([LOAD, wide], fleet_of(card, "a", "b", slots=2), busy={}, seed=1)
    assert placement.assignments == ()
    assert placement.unmet == ("wide: 5 shards need 5 slots, 3 are free on 2 workers",)


def test_nobody_alive_is_said_as_such():
    assert place_phase([LOAD], [], busy={}, seed=1).unmet == ("load: no worker is alive (needs any worker)",)


def test_a_fault_takes_no_slot(card):
    placement = place_phase([LOAD, CHAOS], fleet_of(card, "a", slots=1), busy={}, seed=1)
    assert placed(placement.assignments) == {("load", 0): "a", ("hang", 0): "a"}


@pytest.mark.parametrize("activity", [CHAOS, TELEMETRY])
def test_two_workers_on_one_host_do_a_fault_or_a_reading_there_once(card, activity):
    fleet = [card("a", host="one"), card("b", host="one"), card("c", host="two")]
    placement = place_phase([activity], fleet, busy={}, seed=1)
    assert placed(placement.assignments) == {(activity.key, 0): "a", (activity.key, 1): "c"}


def test_a_reading_goes_on_only_on_its_own_host(card):
    want = Want("readings", 1, 2, avoid=frozenset({"b"}), host="two", taken=frozenset({"one"}))
    left = [card("a", host="one")]
    assert place_again(TELEMETRY, [want], left, busy={}, seed=1) == ()
    back = [*left, card("b", host="two"), card("d", host="two")]
    assert placed(place_again(TELEMETRY, [want], back, busy={}, seed=1)) == {("readings", 1): "d"}


def test_a_fault_that_lost_its_host_moves_to_one_that_has_none_of_it(card):
    want = Want("hang", 0, 2, host="gone", taken=frozenset({"one"}))
    fleet = [card("a", host="one"), card("b", host="two")]
    assert placed(place_again(CHAOS, [want], fleet, busy={}, seed=1)) == {("hang", 0): "b"}
    assert place_again(CHAOS, [want], fleet[:1], busy={}, seed=1) == ()


def test_a_worker_that_failed_a_shard_gets_it_again_only_if_no_other_has_room(card):
    want = Want("load", 0, 1, avoid=frozenset({"a"}))
    fleet = fleet_of(card, "a", "b", slots=1)
    assert placed(place_again(LOAD, [want], fleet, busy={}, seed=1)) == {("load", 0): "b"}
    assert placed(place_again(LOAD, [want], fleet, busy={"b": 1}, seed=1)) == {("load", 0): "a"}
    assert place_again(LOAD, [want], fleet, busy={"a": 1, "b": 1}, seed=1) == ()


@given(
    slots=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    shards=st.lists(st.integers(1, 6), min_size=1, max_size=3),
)
def test_no_worker_is_given_more_than_its_slots_and_every_shard_exactly_once(slots, shards):
    fleet = [WorkerCard(f"w{n}", "one", f"h{n}", "", free) for n, free in enumerate(slots)]
    activities = [replace(LOAD, key=f"load-{n}", shards=of) for n, of in enumerate(shards)]
    placement = place_phase(activities, fleet, busy={}, seed=1)
    assert bool(placement.unmet) == (sum(shards) > sum(slots))
    if not placement.unmet:
        wanted = [(f"load-{n}", shard) for n, of in enumerate(shards) for shard in range(of)]
        assert sorted(placed(placement.assignments)) == sorted(wanted)
        assert len(placement.assignments) == len(wanted)
    for card_ in fleet:
        assert [one.worker for one in placement.assignments].count(card_.worker) <= card_.slots
