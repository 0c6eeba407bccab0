"""A share of packets vanishes, counted at both ends."""

import pytest

from workers.chaos.run import plan
from workers.contract.errors import FaultError

PROMISE_S = 5.0
THERE = "192.0.2.2"
SENT = 1000


@pytest.fixture
def order(make_order):
    return lambda share, **options: make_order(
        None, fault="packet-loss", options={"share": share, **({"hosts": [THERE]} | options)}
    )


def test_half_of_the_packets_are_lost_and_the_kernels_count_is_the_servers(hosts, agent, order):
    before = hosts.counts().get("udp 8000", 0)
    one = agent(order("50%", direction="out", ports=[8000]), inside=hosts.inside)
    one.until_event("injected")
    came = hosts.udp(8000, count=SENT)
    arrived = hosts.counts()["udp 8000"] - before
    assert came == {"refused": SENT - arrived, "back": arrived}
    assert 400 < arrived < 600, "six standard deviations around a half"
    assert one.until_event("verified").took_effect
    one.stop.write_text("enough")
    assert one.rest()[-1].did == {"packets": SENT, "dropped": SENT - arrived}
    assert hosts.udp(8000, count=50) == {"refused": 0, "back": 50}


def test_no_packet_is_lost_any_more_when_the_agent_is_killed(hosts, agent, order, until):
    one = agent(order("100%", direction="out"), inside=hosts.inside)
    one.until_event("injected")
    assert hosts.udp(8000, count=20)["refused"] == 20
    one.until_event("verified")
    one.process.kill()
    until(lambda: hosts.udp(8000, count=20)["back"] == 20, PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    assert hosts.tables() == ""
    one.process.wait(PROMISE_S)


def test_a_packet_on_loopback_has_one_chance_though_it_passes_twice(hosts, agent, order):
    one = agent(order("50%", hosts=["127.0.0.1"], ports=[9]), inside=hosts.inside)
    one.until_event("injected")
    refused = hosts.udp(9, "127.0.0.1", count=SENT)["refused"]
    assert 400 < refused < 600
    one.until_event("verified")
    one.stop.write_text("enough")
    assert one.rest()[-1].did["dropped"] == refused


@pytest.mark.parametrize(("share", "words"), [("0%", "above 0%"), ("120%", "at most 100%"), ("half", "25%")])
def test_a_share_that_is_none_is_refused(order, tmp_path, share, words):
    with pytest.raises(FaultError, match=words):
        plan(order(share), ledger=tmp_path)


def test_everybody_is_refused(order, tmp_path):
    with pytest.raises(FaultError, match="everybody, this host itself too"):
        plan(order("5%", hosts=["0.0.0.0/0"]), ledger=tmp_path)
