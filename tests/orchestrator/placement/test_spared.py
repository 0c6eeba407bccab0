"""Hosts that no fault may come to: protected ones always, those of the campaign for what a host feels."""

from dataclasses import replace

from orchestrator.placement.eligible import Rules
from orchestrator.placement.placement import Want, place_again, place_phase
from orchestrator.placement.spared import Occupied, occupied
from orchestrator.plan import ActivityPlan, Where

LOAD = ActivityPlan(
    key="load", name="load", phase="p", kind="load", target="t", where=Where(), shards=1, needs_engine=True
)
HANG = replace(
    LOAD,
    key="hang",
    name="hang",
    kind="chaos",
    needs_engine=False,
    shards=None,
    fault="cpu",
    where=Where(without=("db", "pay")),
)
WIDE = replace(HANG, where=Where(at_most_hosts=1), apart=True)


def hosts(placement, key):
    return {one.host for one in placement.assignments if one.activity == key}


def test_no_fault_comes_to_a_host_with_a_protected_label_whichever_worker_there_has_it(card):
    fleet = [card("a", labels=("db",)), card("b", host="host-a"), card("c", labels=("x",)), card("d")]
    placement = place_phase([LOAD, HANG], fleet, busy={}, seed=1)
    assert hosts(placement, "hang") == {"host-c", "host-d"}
    only = place_phase([HANG], fleet[:2], busy={}, seed=1)
    (said,) = only.unmet
    assert "is on host host-a, whose label db `protect` keeps from every fault" in said


def test_load_may_go_to_a_protected_host(card):
    assert hosts(place_phase([LOAD], [card("a", labels=("db",))], busy={}, seed=1), "load") == {"host-a"}


def test_what_a_whole_host_feels_keeps_away_from_load_and_coordinators(card):
    fleet = [card("a"), card("b"), card("c")]
    rules = Rules(coordinators=("host-b",))
    for order in ([LOAD, WIDE], [WIDE, LOAD]):
        placement = place_phase(order, fleet, busy={}, seed=1, rules=rules)
        (on,) = hosts(placement, "load")
        left = {"host-a", "host-b", "host-c"} - {"host-b", on}
        assert hosts(placement, "hang") <= left
        assert len(hosts(placement, "hang")) == 1


def test_what_a_whole_host_feels_says_which_key_would_allow_it(card):
    wide_load = replace(LOAD, shards=2)
    (said,) = place_phase([wide_load, WIDE], [card("a"), card("b")], busy={}, seed=1).unmet
    assert "carries load of load, which the whole host would feel (cpu): say `on_generators: true`" in said
    allowed = place_phase([wide_load, replace(WIDE, apart=False)], [card("a"), card("b")], busy={}, seed=1)
    assert allowed.unmet == ()


def test_a_fault_placed_again_keeps_away_as_it_did_at_first(card):
    want = [Want("hang", 0, 1)]
    fleet = [card("a"), card("b")]
    beside = Occupied(loads={"host-a": "load"})
    found = place_again(WIDE, want, fleet, busy={}, seed=1, beside=beside)
    assert [one.host for one in found] == ["host-b"]
    assert place_again(WIDE, want, fleet[:1], busy={}, seed=1, beside=beside) == ()


def test_load_that_lost_its_place_does_not_go_to_a_host_that_feels_a_fault_as_a_whole(card):
    fleet = [card("a"), card("b")]
    beside = Occupied(faults={"host-a": "hang"})
    found = place_again(LOAD, [Want("load", 0, 1)], fleet, busy={}, seed=1, beside=beside)
    assert [one.host for one in found] == ["host-b"]
    assert place_again(LOAD, [Want("load", 0, 1)], fleet[:1], busy={}, seed=1, beside=beside) == ()


def test_load_and_wide_faults_of_two_campaigns_keep_apart_too(card):
    fleet = [card("a"), card("b")]
    faulted = occupied([(WIDE, "host-a")], campaign="other-1")
    assert hosts(place_phase([LOAD], fleet, busy={}, seed=1, beside=faulted), "load") == {"host-b"}
    (said,) = place_phase([LOAD], fleet[:1], busy={}, seed=1, beside=faulted).unmet
    assert "feels the fault of hang of campaign other-1 as a whole" in said
    loaded = occupied([(LOAD, "host-a")], campaign="other-1")
    assert hosts(place_phase([WIDE], fleet, busy={}, seed=1, beside=loaded), "hang") == {"host-b"}
    (said,) = place_phase([WIDE], fleet[:1], busy={}, seed=1, beside=loaded).unmet
    assert "carries load of load of campaign other-1" in said


def test_a_fault_that_only_a_process_feels_keeps_nobody_away(card):
    beside = occupied([(HANG, "host-a")])
    assert hosts(place_phase([LOAD], [card("a")], busy={}, seed=1, beside=beside), "load") == {"host-a"}
