from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from orchestrator.placement.eligible import Rules
from orchestrator.placement.placement import Want, place_again, place_phase, shard_count
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
    (said,) = placement.unmet
    assert said == (
        "wide: 5 shards need 5 slots, 3 are free on 2 workers (b: 2 of 2 free, a: 1 of 2 free); "
        "1 slot went to other activities of the phase"
    )


def test_every_activity_that_has_no_place_says_so_for_itself(card):
    wide = replace(LOAD, key="wide", shards=5)
    on_gpu = replace(LOAD, key="on-gpu", where=Where(gpus=1))
    placement = place_phase([LOAD, wide, on_gpu], [card("a", slots=2)], busy={}, seed=1)
    assert [one.split(":")[0] for one in placement.unmet] == ["wide", "on-gpu"]
    assert "nearest is a, which has 0 of 1 GPU" in placement.unmet[1]


def test_who_has_the_slots_is_named(card):
    fleet = [card("a", slots=4), card("b", slots=2)]
    placement = place_phase(
        [replace(LOAD, shards=4)],
        fleet,
        busy={"a": 3, "b": 1},
        seed=1,
        held_by={"a": ("peak-1", "soak-2"), "b": ("soak-2",), "elsewhere": ("other-3",)},
    )
    (said,) = placement.unmet
    assert said == (
        "load: 4 shards need 4 slots, 2 are free on 2 workers (a: 1 of 4 free, b: 1 of 2 free); "
        "busy with campaigns peak-1, soak-2"
    )


def test_workers_that_do_not_meet_the_rules_are_given_nothing_and_are_named(card):
    fleet = [
        structs.replace(card("a", slots=1), version="0.1.0"),
        structs.replace(card("b", slots=4), version="0.0.9"),
    ]
    rules = Rules(version="0.1.0")
    activity = replace(LOAD, shards=3)
    placement = place_phase([activity], fleet, busy={}, seed=1, rules=rules)
    (said,) = placement.unmet
    assert said == (
        "load: 3 shards need 3 slots, 1 is free on 1 worker (a: 1 of 1 free); "
        "1 more worker may not: nearest is b, which is version 0.0.9, not 0.1.0"
    )
    want = Want("load", 0, 1)
    assert placed(place_again(LOAD, [want], fleet[1:], busy={}, seed=1)) == {("load", 0): "b"}
    assert place_again(LOAD, [want], fleet[1:], busy={}, seed=1, rules=rules) == ()


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
