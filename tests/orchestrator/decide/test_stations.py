"""Where proxies stand: decided once, asked for until they do, and where their faults are done later."""

import pytest
from msgspec import structs

from orchestrator.decide.stations import SAY_AGAIN_S
from workers.contract import control
from workers.contract import facts as f
from workers.contract.proxies import ProxyShown, ProxyWant

SLOW = """\
      - name: slow-{name}
        kind: chaos
        fault: {fault}
        at: {at}
        for: 2s
        {where}
        with: {{listen: {port}, upstream: "store:6379", {with_}}}
        observe: [{load}]
"""


@pytest.fixture
def slow():
    """A chaos activity that needs a proxy, as it stands in a campaign file."""

    def make(
        name="one", *, port=9000, fault="tcp-proxy", where="where: {at_most: 1}", load="steady", at="5s"
    ):
        with_ = "latency: 200ms" if fault == "tcp-proxy" else "answer: stale, speaks: redis"
        return SLOW.format(name=name, port=port, fault=fault, where=where, with_=with_, load=load, at=at)

    return make


def stands(world):
    return [tell for tell in world.told if isinstance(tell.order, control.Stand)]


def show(world, worker, *, port=9000, why="", refused=False, speaks="", campaign="c-1"):
    """The worker's card shows the proxy."""
    shown = ProxyShown(port, "store:6379", campaign=campaign, why=why, refused=refused, speaks=speaks)
    world.fleet[worker] = structs.replace(world.fleet[worker], proxies=(shown,))


def began(world):
    """From the submission on, all shards ready, as far as the leader lets it come."""
    world.begin()
    return world.state.phases["only"].start_s is not None


def test_a_phase_begins_only_once_its_proxies_stand(world, load_activity, slow):
    one = world(("only", load_activity + slow()))
    assert not began(one)
    (station,) = one.state.stations.values()
    (tell,) = stands(one)
    assert (tell.worker,) == station
    assert tell.order.proxies == (ProxyWant(9000, "store:6379"),)
    assert tell.order.incarnation == one.fleet[tell.worker].incarnation
    show(one, tell.worker, why="it is being started")
    one.step()
    assert one.state.phases["only"].start_s is None
    show(one, tell.worker)
    one.step()
    assert one.state.phases["only"].start_s is not None


def test_the_fault_is_done_by_the_worker_that_its_proxy_stands_on_in_a_later_phase_too(
    world, load_activity, slow
):
    text = load_activity.replace("steady", "later")
    one = world(("only", load_activity), ("second", text + slow(load="later")), workers="abcdef")
    one.begin()
    ((worker,),) = one.state.stations.values()
    show(one, worker)
    one.step()
    assert one.state.phases["only"].start_s is not None
    one.finish_running()
    one.step(after_s=40.0)
    assert one.state.last_attempt("slow-one", 0).worker == worker


def test_two_faults_on_one_proxy_are_done_on_one_worker_and_it_is_asked_for_once(world, load_activity, slow):
    text = load_activity + slow("one") + slow("two", fault="dependency", at="9s")
    one = world(("only", text), workers="abcdef")
    one.begin()
    assert len(set(one.state.stations.values())) == 1
    (tell,) = stands(one)
    assert tell.order.proxies == (ProxyWant(9000, "store:6379", speaks="redis"),)


def test_every_host_that_is_meant_has_a_proxy_of_its_own(world, load_activity, slow, card):
    fleet = [card("a"), card("b", host="host-a"), card("c")]
    one = world(("only", load_activity + slow(where="where: {at_most: 100%}")), fleet=fleet)
    one.begin()
    assert one.state.stations["slow-one"] == ("a", "c")
    assert {tell.worker for tell in stands(one)} == {"a", "c"}


def test_the_order_is_given_again_until_the_card_shows_it_and_to_each_life_anew(world, load_activity, slow):
    one = world(("only", load_activity + slow()), workers=("a",))
    one.begin()
    assert len(stands(one)) == 1
    one.step(after_s=SAY_AGAIN_S)
    assert len(stands(one)) == 2
    show(one, "a")
    one.step(after_s=SAY_AGAIN_S)
    assert len(stands(one)) == 2
    one.fleet["a"] = structs.replace(one.fleet["a"], incarnation="two", proxies=())
    one.step()
    assert stands(one)[-1].order.incarnation == "two"


def test_a_proxy_of_the_workers_own_does_as_well(world, load_activity, slow):
    one = world(("only", load_activity + slow()), workers=("a",))
    show(one, "a", campaign="")
    assert began(one)
    assert stands(one) == []


def test_a_proxy_that_is_refused_ends_the_campaign_at_once_in_words(world, load_activity, slow):
    one = world(("only", load_activity + slow()), workers=("a",))
    one.begin()
    show(one, "a", why="target store:6379 is not on this worker's allow-list", refused=True)
    one.step()
    assert one.state.aborting.verdict == "invalid"
    assert "slow-one: proxy on port 9000 to store:6379 on worker a: target" in one.state.aborting.why


def test_a_proxy_that_does_not_stand_in_time_is_what_the_phase_waited_for(world, load_activity, slow):
    one = world(("only", load_activity + slow()), workers=("a",))
    one.begin()
    show(one, "a", campaign="c-0")
    one.renew()
    one.step(after_s=61.0)
    assert "the port is in use for campaign c-0" in one.state.aborting.why


def test_without_a_worker_that_fits_nothing_is_decided_and_it_is_said_who_lacks_what(
    world, load_activity, slow
):
    one = world(("only", load_activity + slow(where="where: {label: gateway}")), workers=("a",))
    one.begin()
    assert one.state.stations == {}
    one.step(after_s=61.0)
    assert "has no label gateway" in one.state.aborting.why


def test_a_new_leader_finds_in_the_journal_where_they_stand(world, load_activity, slow):
    one = world(("only", load_activity + slow()), workers="abcdef")
    one.begin()
    again = world(("only", load_activity + slow()), workers="fedcba")
    for fact in one.journal:
        again.say(fact)
    again.fleet.pop("a")
    again.step()
    assert again.state.stations == one.state.stations
    assert len([fact for fact in again.journal if isinstance(fact, f.Stationed)]) == 1


def test_a_campaign_without_proxies_knows_nothing_of_them(world, load_activity, chaos_activity):
    one = world(("only", load_activity + chaos_activity))
    assert began(one)
    assert one.state.stations == {}
    assert stands(one) == []
