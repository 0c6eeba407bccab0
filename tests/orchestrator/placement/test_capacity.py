from dataclasses import replace

import pytest
from msgspec import structs

from orchestrator.placement.capacity import (
    engines_that_fit,
    good_to,
    round_down,
    shards_needed,
    too_small,
    words_of,
)  # fmt: skip
from orchestrator.placement.eligible import Rules
from orchestrator.placement.placement import Want, place_again, place_phase
from orchestrator.plan import ActivityPlan, Where, plan_of
from workers.contract.calibration import Calibration
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment

LOAD = ActivityPlan(
    key="load", name="load", phase="p", kind="load", target="t", where=Where(), shards=None, needs_engine=True
)


def rate(per_s):
    return OpenArrivals("poisson", (Segment(0.0, 10.0, 0.0, per_s),), seed=1, stream="load")


def calibrated(card, requests_per_s, streams=400, cores=0):
    known = Calibration(
        requests_per_s=requests_per_s, streams=streams, requests_limited_by="", streams_limited_by="",
        at="2026-11-22T10:00:00+00:00", version="1", cpu="x", python="3.11", cores=cores,
    )  # fmt: skip
    return structs.replace(card, calibration=known, cores=cores)


def test_the_slowest_calibrated_host_says_how_many_shards_a_peak_needs(card):
    cards = [calibrated(card("a"), 5000.0), calibrated(card("b"), 2500.0), card("c")]
    # 0.8 of 2,500/s an engine
    assert shards_needed(replace(LOAD, arrivals=rate(6000)), cards) == 3
    assert shards_needed(replace(LOAD, arrivals=rate(6001)), cards) == 4
    assert shards_needed(replace(LOAD, arrivals=rate(6000)), [card("c")]) == 0
    assert shards_needed(LOAD, cards) == 0


def test_a_closed_loop_that_streams_needs_engines_by_its_users_and_another_by_nothing(card):
    cards = [calibrated(card("a"), 5000.0, streams=100)]
    closed = replace(LOAD, arrivals=ClosedArrivals(400, 0.0, 9.0), units=400)
    assert shards_needed(closed, cards) == 0
    assert shards_needed(replace(closed, streams=True), cards) == 5


def test_auto_makes_more_shards_where_the_peak_needs_them_but_none_without_a_slot_and_a_core(card):
    load = replace(LOAD, arrivals=rate(9000))

    def shards(*cards):
        return len(place_phase([load], cards, busy={}, seed=1).assignments)

    assert shards(card("a", slots=8), card("b", slots=8)) == 2
    assert shards(calibrated(card("a", slots=8), 2000.0, cores=8), card("b", slots=8)) == 6
    assert shards(calibrated(card("a", slots=8), 2000.0, cores=2)) == 2
    assert shards(calibrated(card("a", slots=3), 2000.0, cores=8)) == 3
    assert shards(calibrated(card("a", slots=8), 20_000.0, cores=8)) == 1


def test_a_peak_takes_no_slot_that_another_activity_of_its_phase_needs(card):
    cards = [calibrated(card(name, slots=4), 1000.0, cores=8) for name in "ab"]
    hungry = replace(LOAD, arrivals=rate(9000))
    modest = replace(LOAD, key="modest", name="modest", arrivals=rate(500))
    for activities in ([hungry, modest], [modest, hungry]):
        found = place_phase(activities, cards, busy={}, seed=1)
        assert found.unmet == ()
        shards = [one.activity for one in found.assignments]
        assert (shards.count("load"), shards.count("modest")) == (6, 2)


def test_workers_of_one_host_share_its_cores(card):
    cards = [calibrated(card("a", host="x"), 1.0, cores=4), calibrated(card("b", host="x"), 1.0, cores=4)]
    assert engines_that_fit(cards, {"a": 3, "b": 3}) == 4
    assert engines_that_fit(cards, {"a": 1, "b": 1}) == 2


def test_shards_that_the_file_names_are_left_alone(card):
    load = replace(LOAD, arrivals=rate(9000), shards=2)
    assert len(place_phase([load], [calibrated(card("a", slots=8), 500.0)], busy={}, seed=1).assignments) == 2


def test_what_engines_are_good_to_is_told_and_a_peak_beyond_it(card):
    fast, slow = calibrated(card("a"), 3047.0), calibrated(card("b"), 1523.0)
    load = replace(LOAD, arrivals=rate(3000))
    assert good_to(load, [fast]) == 3047.0
    assert good_to(load, [fast, slow]) == 3046.0
    assert good_to(load, [fast, card("c")]) is None
    assert good_to(load, []) is None
    assert words_of(load, [fast]) == "good to about 3,000/s here"
    assert words_of(load, [slow]).startswith("the peak of 3,000/s is beyond the about 1,500/s that these")
    streams = replace(load, streams=True)
    assert words_of(streams, [fast, slow]) == "good to about 800 streams at once here"
    assert words_of(load, [card("c")]) == ""


@pytest.mark.parametrize(("value", "told"), [(0.0, 0), (7.9, 7), (42, 42), (3047, 3000), (12_999, 12_000)])
def test_a_capacity_is_told_in_two_digits_and_never_more_than_was_measured(value, told):
    assert round_down(value) == told


def test_the_plan_knows_which_targets_stream(campaign_of, load_activity):
    assert plan_of(campaign_of(("p", load_activity)), seed=1).activity("steady").streams


SIZED = Rules(sized=True)


def test_a_slot_is_too_small_where_one_engine_of_its_host_does_not_keep_up_with_a_shard(card):
    slow, fast = calibrated(card("slow"), 300.0, streams=40), calibrated(card("fast"), 3000.0)
    load = replace(LOAD, arrivals=rate(6000))
    assert too_small(load, 2, [slow, fast, card("unknown")], SIZED) == {
        "slow": "an engine of slow keeps up with 300/s, as calibrated, a shard has 3,000/s"
    }
    assert too_small(load, 2, [slow], Rules()) == {}, "where the rules do not ask for it"
    noisy = structs.replace(slow, calibration=structs.replace(slow.calibration, disturbed=True))
    assert too_small(load, 2, [noisy], SIZED) == {}, "what others disturbed proves nothing"
    users = replace(LOAD, arrivals=ClosedArrivals(100, 0.0, 9.0), units=100)
    assert too_small(users, 2, [slow], SIZED) == {}, "its target says what users come to"
    assert (
        "keeps up with 40 streams at once"
        in too_small(replace(users, streams=True), 2, [slow], SIZED)["slow"]
    )


def test_auto_leaves_small_hosts_out_and_splits_over_the_large_ones(card):
    small = [calibrated(card(f"s{n}", slots=1), 100.0, cores=1) for n in range(3)]
    large = [calibrated(card(name, slots=8), 3000.0, cores=8) for name in ("x", "y")]
    load = replace(LOAD, arrivals=rate(6000))
    found = place_phase([load], [*small, *large], busy={}, seed=1, rules=SIZED)
    assert {one.worker for one in found.assignments} == {"x", "y"}
    assert len(found.assignments) == 3
    modest = place_phase([replace(LOAD, arrivals=rate(300))], [*small, *large], busy={}, seed=1, rules=SIZED)
    assert len(modest.assignments) == 5, "all are large enough for a fifth of that"


def test_shards_that_the_file_names_go_where_each_finds_a_slot_large_enough(card):
    small, large = calibrated(card("small", slots=4), 100.0), calibrated(card("large", slots=2), 3000.0)
    load = replace(LOAD, arrivals=rate(4000), shards=2)
    found = place_phase([load], [small, large], busy={}, seed=1, rules=SIZED)
    assert [one.worker for one in found.assignments] == ["large", "large"]
    (said,) = place_phase([replace(load, shards=3)], [small, large], busy={}, seed=1, rules=SIZED).unmet
    assert said == (
        "load: 3 shards need 3 slots, 2 are free on 1 worker (large: 2 of 2 free); too small for a shard: an "
        "engine of small keeps up with 100/s, as calibrated, a shard has 1,333.33/s"
    )
    (said,) = place_phase([load], [small], busy={}, seed=1, rules=SIZED).unmet
    assert said.startswith("load: no slot is large enough for one of 2 shards: an engine of small keeps up")
    want = Want("load", 0, 2)
    again = place_again(load, [want], [small, large], busy={}, seed=1, rules=SIZED)
    assert [one.worker for one in again] == ["large"]
    assert place_again(load, [want], [small], busy={}, seed=1, rules=SIZED) == ()


def test_a_slot_is_too_small_where_its_workers_own_operator_limits_the_target(card):
    held = card("held", slots=4, target_limits={"10.0.0.5:80": 100.0})
    load = replace(LOAD, arrivals=rate(60), address="chat.test:80")
    leads_to = Rules(leads_to={"chat.test": ("10.0.0.5",)})
    assert too_small(load, 1, [held], leads_to) == {
        "held": "held may send chat.test:80 25/s a slot, as its operator says, a shard has 60/s"
    }
    assert too_small(load, 3, [held], leads_to) == {}
    assert too_small(load, 1, [held], Rules()) == {}, "nobody knows where the name leads"
