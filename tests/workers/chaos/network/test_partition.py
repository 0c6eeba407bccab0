"""A host cut off from another one, both ways, but for its Redis."""

import subprocess
import sys

import pytest

from workers.chaos.contract import HostRules
from workers.chaos.run import plan
from workers.contract.errors import FaultError

NO_RULES = HostRules()
PROMISE_S = 5.0
HERE, THERE, THERE6 = "192.0.2.1", "192.0.2.2", "fd00:0:0:7::2"


@pytest.fixture
def order(make_order):
    return lambda hosts, rules=NO_RULES: make_order(
        None, fault="partition", options={"hosts": hosts}, rules=rules
    )


def test_neither_side_reaches_the_other_until_the_agent_is_killed(hosts, agent, order, until):
    rules = HostRules(broker=(f"{THERE}:6379",))
    one = agent(order(["0.0.0.0/0", "::/0"], rules), inside=hosts.inside)
    one.until_event("injected")
    assert not hosts.tcp(8000)
    assert not hosts.tcp(8000, THERE6)
    assert hosts.udp(8001)["back"] == 0
    ping = "import socket; socket.create_connection(('192.0.2.1', 9), 0.5)"
    with pytest.raises(Exception, match="non-zero exit"):
        _there(hosts, ping)
    assert hosts.tcp(6379), "Redis is spared"
    assert hosts.udp(9, "127.0.0.1")["refused"] == 0, "the host itself is whole"
    assert one.until_event("verified").took_effect
    one.process.kill()
    until(lambda: hosts.tcp(8000) and hosts.tcp(8000, THERE6), PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    assert hosts.tables() == ""
    one.process.wait(PROMISE_S)


def _there(hosts, code):
    subprocess.run([*hosts.there, sys.executable, "-c", code], check=True, capture_output=True, timeout=30)


def test_one_packet_of_ours_proves_it_where_nobody_else_sends(hosts, agent, order):
    one = agent(order([THERE]), inside=hosts.inside)
    assert one.until_event("verified").took_effect
    one.stop.write_text("enough")
    assert one.rest()[-1].did["dropped"] >= 1


@pytest.mark.parametrize("own", ["127.0.0.1", "::1"])
def test_a_host_cannot_be_cut_off_from_itself(order, tmp_path, own):
    with pytest.raises(FaultError, match="is this host's own: name the other side"):
        plan(order([own]), ledger=tmp_path)


def test_nobody_at_all_is_refused(order, tmp_path):
    with pytest.raises(FaultError, match="length >= 1"):
        plan(order([]), ledger=tmp_path)


def test_redis_over_ipv6_is_found_again_though_the_kernel_forgets_its_neighbours(hosts, agent, order):
    """As it does by itself after half a minute: nobody is reached without asking for neighbours first."""
    rules = HostRules(broker=(f"[{THERE6}]:6379",))
    one = agent(order(["::/0"], rules), inside=hosts.inside)
    one.until_event("injected")
    for inside in (hosts.inside, hosts.there):
        subprocess.run([*inside, "ip", "-6", "neighbour", "flush", "dev", "eth0"], check=True, timeout=30)
    assert hosts.tcp(6379, THERE6)
    assert not hosts.tcp(8000, THERE6)
    one.stop.write_text("enough")
    assert one.rest()[-1].took_effect


NAT = """
table ip nat {
  chain out {
    type nat hook output priority -100;
    ip daddr 203.0.113.9 tcp dport 6379 dnat to 192.0.2.2:6379;
  }
}
"""


def test_redis_behind_an_address_that_stands_for_another_is_spared_too(hosts, agent, order, tmp_path):
    """As Kubernetes and Docker have services: by the time that packets are judged they bear the other one."""
    (tmp_path / "nat").write_text(NAT)
    hosts.run("ip", "route", "add", "203.0.113.0/24", "via", THERE)
    hosts.run("nft", "--file", str(tmp_path / "nat"))
    try:
        assert hosts.tcp(6379, "203.0.113.9")
        one = agent(order(["192.0.2.0/24"], HostRules(broker=("203.0.113.9:6379",))), inside=hosts.inside)
        one.until_event("injected")
        assert hosts.tcp(6379, "203.0.113.9")
        assert not hosts.tcp(6379)
        assert not hosts.tcp(8000)
        one.stop.write_text("enough")
        one.rest()
    finally:
        hosts.run("nft", "delete", "table", "ip", "nat")
        hosts.run("ip", "route", "delete", "203.0.113.0/24")
