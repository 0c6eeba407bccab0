from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.placement.ceilings import Holding
from orchestrator.placement.queue import Contender, queue
from orchestrator.plan import ActivityPlan, PhasePlan, Where
from workers.contract.facts import WorkerCard

LOAD = ActivityPlan(
    key="load", name="load", phase="p", kind="load", target="t", where=Where(), shards=1, needs_engine=True
)


def holding(place="chat:80", *, asks=0.0, ceiling=None):
    return Holding(("chat",), frozenset({place}), f"http://{place}", asks, asks, ceiling)


def needs(*shards, where=None):
    """Phases of one load each, of so many shards."""
    return tuple(
        PhasePlan(f"p{n}", (), (replace(LOAD, key=f"load-{n}", shards=of, where=where or Where()),))
        for n, of in enumerate(shards)
    )


def campaign(id_, *holdings, priority=0, at_s=0.0, begun=False, shares=False, ahead=(), held=None, by="ada"):
    return Contender(
        id=id_, by=by, seed=1, priority=priority, submitted_s=at_s, begun=begun, shares=shares,
        holdings=holdings, ahead=ahead, held=held or {},
    )  # fmt: skip


def workers(*slots, **given_):
    return [WorkerCard(f"w{n}", "one", f"h{n}", "", free, **given_) for n, free in enumerate(slots)]


def test_a_campaign_alone_may_begin():
    assert queue([campaign("a", holding())], fleet=[]) == {}


def test_who_comes_to_a_target_that_is_held_waits_and_is_told_by_whom():
    live = [campaign("a", holding(), begun=True), campaign("b", holding(), at_s=1.0)]
    assert queue(live, fleet=[]) == {"b": "waits for campaign a (by ada), which holds target http://chat:80"}
    elsewhere = campaign("b", holding("other:80"), at_s=1.0)
    assert queue([live[0], elsewhere], fleet=[]) == {}


def test_one_place_under_two_names_is_one_target():
    named = Holding(("chat",), frozenset({"chat:80", "10.0.0.5:80"}), "http://chat")
    by_address = holding("10.0.0.5:80")
    assert set(queue([campaign("a", named, begun=True), campaign("b", by_address)], fleet=[])) == {"b"}


def test_the_higher_priority_goes_first_then_the_older_and_none_is_interrupted():
    first = campaign("first", holding(), begun=True, priority=-10)
    low, high = campaign("low", holding(), at_s=1.0), campaign("high", holding(), at_s=2.0, priority=3)
    assert set(queue([first, low, high], fleet=[])) == {"low", "high"}
    assert queue([low, high], fleet=[]) == {
        "low": "waits for campaign high (by ada), which holds target http://chat:80"
    }
    older = campaign("older", holding(), at_s=0.5)
    assert set(queue([low, older], fleet=[])) == {"low"}


def test_none_passes_one_that_waits_for_the_same_target():
    begun = campaign("a", holding("x:1"), begun=True)
    both = campaign("b", holding("x:1"), holding("y:1"), priority=3, at_s=1.0)
    late = campaign("c", holding("y:1"), at_s=2.0)
    assert queue([begun, both, late], fleet=[])["c"] == (
        "waits behind b (priority 3, by ada), which comes first on target http://y:1"
    )


def test_those_that_share_a_target_go_together_under_its_lowest_ceiling():
    one = campaign("one", holding(asks=40.0, ceiling=100.0), begun=True, shares=True)
    two = campaign("two", holding(asks=40.0), at_s=1.0, shares=True)
    three = campaign("three", holding(asks=40.0), at_s=2.0, shares=True)
    assert queue([one, two, three], fleet=[]) == {
        "three": "waits for campaign one (by ada): target http://chat:80 is to get at most 100/s, of which "
        "one may send 40/s, two may send 40/s, and this one 40/s"
    }
    alone = replace(two, shares=False)
    assert "which holds target" in queue([one, alone], fleet=[])["two"]
    free = replace(one, holdings=(holding(asks=40.0),))
    assert queue([free, two, three], fleet=[]) == {}


def test_a_small_campaign_takes_no_part_of_a_ceiling_that_one_before_it_waits_for():
    one = campaign("one", holding(asks=60.0, ceiling=100.0), begun=True, shares=True)
    large = campaign("large", holding(asks=80.0), at_s=1.0, shares=True)
    small = campaign("small", holding(asks=5.0), at_s=2.0, shares=True)
    found = queue([one, large, small], fleet=[])
    assert found["small"].startswith("waits behind large (priority 0, by ada), which comes first: ")


def test_a_load_that_only_its_target_bounds_shares_no_ceiling():
    closed = campaign("closed", holding(asks=float("inf")), begun=True, shares=True)
    limited = campaign("limited", holding(asks=5.0, ceiling=10.0), at_s=1.0, shares=True)
    assert "closed may send any rate, and this one 5/s" in queue([closed, limited], fleet=[])["limited"]


def test_who_lacks_slots_waits_for_them_and_is_told_who_has_them():
    begun = campaign("a", holding("x:1"), begun=True, held={"w0": 3})
    wants = campaign("b", holding("y:1"), at_s=1.0, ahead=needs(3))
    assert queue([begun, wants], fleet=workers(4)) == {
        "b": "waits for slots: load-0: 3 shards need 3 slots, 1 is free on 1 worker (w0: 1 of 4 free); "
        "busy with campaign a"
    }
    assert queue([begun, wants], fleet=workers(6)) == {}


def test_what_waiting_cannot_mend_is_left_to_the_phase_itself():
    wants = campaign("b", holding("y:1"), ahead=needs(9))
    assert queue([wants], fleet=workers(4)) == {}
    assert queue([wants], fleet=[]) == {}


def test_a_later_campaign_passes_one_that_waits_for_slots_only_on_workers_that_it_cannot_use():
    fleet = [*workers(4, labels=("big",)), WorkerCard("small", "one", "h9", "", 2, labels=("small",))]
    begun = campaign("a", begun=True, held={"w0": 2})
    large = campaign("large", at_s=1.0, ahead=needs(4, where=Where(labels=("big",))))
    anywhere = campaign("anywhere", at_s=2.0, ahead=needs(1))
    apart = campaign("apart", at_s=3.0, ahead=needs(1, where=Where(labels=("small",))))
    found = queue([begun, large, anywhere, apart], fleet=fleet)
    assert set(found) == {"large", "anywhere"}
    assert found["anywhere"] == (
        "waits behind large (priority 0, by ada), which waits for slots of the same workers"
    )


def test_slots_that_a_begun_campaign_needs_later_are_kept_for_it():
    begun = campaign("a", begun=True, held={"w0": 1}, ahead=needs(4))
    late = campaign("b", at_s=1.0, ahead=needs(1))
    assert queue([begun, late], fleet=workers(4))["b"].startswith("waits for slots: ")
    assert queue([replace(begun, ahead=()), late], fleet=workers(4)) == {}


CAMPAIGNS = st.lists(
    st.tuples(
        st.integers(-2, 2),  # priority
        st.booleans(),  # shares
        st.sets(st.sampled_from(["x:1", "y:1", "z:1"]), min_size=1),
        st.sampled_from([5.0, 20.0, float("inf")]),  # asks
        st.sampled_from([None, 20.0, 30.0]),  # ceiling
        st.lists(st.integers(1, 5), min_size=1, max_size=2),  # shards of each phase
    ),
    min_size=1,
    max_size=7,
)


@given(wanted=CAMPAIGNS, slots=st.lists(st.integers(1, 3), min_size=1, max_size=3), data=st.data())
def test_none_starves_and_no_two_are_ever_on_a_target_or_over_a_ceiling_together(wanted, slots, data):
    fleet = workers(*slots)
    waiting = [
        campaign(
            f"c{n}",
            *(holding(p, asks=min(asks, ceiling or asks), ceiling=ceiling) for p in sorted(places)),
            priority=priority,
            at_s=float(n),
            shares=shares,
            ahead=needs(*shards),
        )
        for n, (priority, shares, places, asks, ceiling, shards) in enumerate(wanted)
    ]
    begun = []
    while waiting or begun:
        found = queue([*waiting, *begun], fleet=fleet)
        assert not {one.id for one in begun} & set(found), "one that has begun is never asked to wait"
        begun += [replace(one, begun=True) for one in waiting if one.id not in found]
        waiting = [one for one in waiting if one.id in found]
        assert begun, "nobody works, and all wait"
        at_peace(begun)
        begun.remove(data.draw(st.sampled_from(begun)))


def at_peace(begun):
    """Nobody is where another is who does not share, and all on a place stay under its lowest ceiling."""
    for place in ("x:1", "y:1", "z:1"):
        there = [(one, each) for one in begun for each in one.holdings if place in each.places]
        assert len(there) < 2 or all(one.shares for one, _ in there)
        ceilings = [each.ceiling_per_s for _, each in there if each.ceiling_per_s is not None]
        if len(there) > 1 and ceilings:
            assert sum(each.asks_per_s for _, each in there) <= min(ceilings) * (1 + 1e-9)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_in_which_campaigns_are_looked_at_changes_nothing(seed):
    live = [campaign(f"c{n}", holding(), at_s=float(n % 3), priority=n % 2) for n in range(6)]
    assert queue(live[::-1] if seed == 2 else live[3:] + live[:3], fleet=[]) == queue(live, fleet=[])
