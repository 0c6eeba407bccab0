"""Packets between two hosts vanish, seen from both; whoever is killed, they flow again."""

import os
import signal
import time

import pytest

from workers.chaos.contract import HostRules
from workers.chaos.ledger import reconcile
from workers.chaos.run import plan
from workers.contract.errors import FaultError

NO_RULES = HostRules()
PROMISE_S = 5.0
THERE, THERE6 = "192.0.2.2", "fd00:0:0:7::2"


@pytest.fixture
def order(make_order):
    """An order to drop packets."""
    return lambda for_s=30.0, rules=NO_RULES, fault="packet-drop", **options: make_order(
        None, fault=fault, for_s=for_s, limit_s=60.0 if for_s > 1 else for_s, options=options, rules=rules
    )


def test_a_port_of_a_host_is_out_of_reach_for_its_time_and_no_other_is(hosts, agent, order):
    assert hosts.tcp(8000)
    one = agent(order(for_s=1.5, hosts=[THERE], ports=[8000]), inside=hosts.inside)
    injected = one.until_event("injected")
    assert injected.touched == (f"packets to and from {THERE}, port 8000",)
    assert one.until_event("verified").took_effect
    assert hosts.udp(8000)["refused"] == 1
    assert hosts.tcp(8001)
    assert hosts.udp(8001) == {"refused": 0, "back": 1}
    (reverted,) = one.rest()
    assert (reverted.what, reverted.took_effect, reverted.why) == ("reverted", True, "")
    assert hosts.tcp(8000)
    assert hosts.tables() == ""


@pytest.mark.parametrize("host", [THERE, THERE6], ids=["IPv4", "IPv6"])
def test_packets_flow_again_when_the_agent_is_killed_in_the_middle(hosts, agent, order, until, host):
    one = agent(order(hosts=[host]), inside=hosts.inside)
    assert one.until_event("verified").took_effect
    assert not hosts.tcp(8000, host)
    assert hosts.tables()
    one.process.kill()
    until(lambda: hosts.tcp(8000, host), PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    assert hosts.tables() == ""
    one.process.wait(PROMISE_S)
    assert [found.by for found in reconcile(one.ledger)] == ["guardian"]


def test_the_kernel_lets_go_by_itself_when_agent_and_guardian_are_dead(hosts, agent, order, until):
    one = agent(order(for_s=1.0, hosts=[THERE]), inside=hosts.inside)
    one.until_event("injected")
    one.process.send_signal(signal.SIGSTOP)  # so that it cannot revert while its guardian dies
    for pid in one.guardians():
        os.kill(pid, signal.SIGKILL)
    one.process.kill()
    one.process.wait(PROMISE_S)
    table = hosts.tables()
    assert "drop" in table, "nobody has removed it"
    took_s = until(lambda: hosts.tcp(8000), PROMISE_S)
    print(f"the kernel let go after {took_s:.2f} s")
    assert hosts.tables(), "it is still there, and does nothing"
    assert hosts.next_life(one.ledger) == "next worker"
    assert hosts.tables() == ""


def test_packets_in_one_direction_alone_are_dropped(hosts, agent, order):
    before = hosts.counts().get("udp 8001", 0)
    one = agent(order(hosts=[THERE], direction="in", transport="udp"), inside=hosts.inside)
    one.until_event("injected")
    assert hosts.udp(8001, count=3) == {"refused": 0, "back": 0}, "sent, and no answer came"
    assert hosts.counts()["udp 8001"] - before == 3, "over there they arrived"
    assert hosts.tables().count("drop") > 0
    assert one.until_event("verified").took_effect
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert reverted.did["dropped"] == 3


def test_a_drop_that_somebody_flushes_did_not_take_effect_to_the_end(hosts, agent, order):
    one = agent(order(hosts=[THERE]), inside=hosts.inside)
    one.until_event("verified")
    hosts.run("nft", "flush", "ruleset")
    time.sleep(1.5)  # it looks once a second
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "somebody has flushed nftables" in reverted.why


def test_a_drop_that_no_packet_comes_to_took_no_effect(hosts, agent, order):
    one = agent(order(ports=[4711], direction="in"), inside=hosts.inside)
    verified = one.until_event("verified")
    assert verified.took_effect is False
    assert "no packet was hit: 0 came by of the packets from any host, port 4711" in verified.why
    assert hosts.tables() == "" or one.rest()[-1].what == "reverted"


def test_redis_is_spared_by_a_network_and_refused_by_name(hosts, agent, order, until):
    rules = HostRules(worker="w1", broker=(f"{THERE}:6379",))
    (failed,) = agent(order(hosts=[THERE], rules=rules), inside=hosts.inside).rest()
    assert failed.what == "failed"
    assert f"{THERE} port 6379 is this worker's Redis" in failed.why
    assert hosts.tables() == ""
    one = agent(order(hosts=["192.0.2.0/24"], rules=rules), inside=hosts.inside)
    assert "but for Redis at" in one.until_event("injected").touched[0]
    assert not hosts.tcp(8000)
    assert hosts.tcp(6379)
    one.stop.write_text("enough")
    one.rest()
    assert hosts.tcp(8000)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "say `hosts` or `ports`"),
        ({"hosts": ["no-such-host.invalid"]}, "leads to no address"),
        ({"hosts": [THERE, "::/0"]}, "everybody, this host itself too"),
        ({"ports": [0]}, "expected `int` >= 1|Expected `int` >= 1"),
        ({"hosts": [THERE], "direction": "sideways"}, "sideways"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(order, tmp_path, options, words):
    with pytest.raises(FaultError, match=words):
        plan(order(**options), ledger=tmp_path)


def test_without_the_right_to_change_the_network_it_is_said_what_is_missing(
    hosts, order, as_nobody, tmp_path
):
    assert plan(order(hosts=[THERE]), ledger=tmp_path).touched, "nobody else may read what this loads"
    said = as_nobody(lambda: plan(order(hosts=[THERE]), ledger=tmp_path))
    assert said.startswith("FaultError: unsupported here: ")
    assert "root, or CAP_NET_ADMIN" in said
