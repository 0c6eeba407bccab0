"""A bad line out of this host: slow where the kernel has HTB, late and lossy where it has netem."""

import re
import subprocess

import pytest

from workers.chaos.contract import HostRules
from workers.chaos.run import plan
from workers.contract.errors import FaultError

NO_RULES = HostRules()
PROMISE_S = 5.0
THERE = "192.0.2.2"
SIZE = 200_000


@pytest.fixture
def order(make_order):
    return lambda for_s=30.0, rules=NO_RULES, **options: make_order(
        None, fault="netem", for_s=for_s, limit_s=60.0, options=options, rules=rules
    )


def _has_netem() -> bool:
    tried = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    try:
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


HAS_NETEM = _has_netem()


def _queues(hosts) -> str:
    return hosts.run("tc", "qdisc", "show", "dev", "eth0")


def _slowed(hosts) -> int:
    """Bytes that have gone through the fault's queue."""
    shown = hosts.run("tc", "-statistics", "class", "show", "dev", "eth0")
    return int(re.search(r"Sent (\d+) bytes", shown)[1])


def test_what_leaves_to_a_port_is_slow_until_the_agent_is_killed(hosts, agent, order, until):
    before = _queues(hosts)
    one = agent(order(rate="50KiB/s", hosts=[THERE], ports=[8000]), inside=hosts.inside)
    injected = one.until_event("injected")
    assert injected.touched[0] == "device eth0"
    assert hosts.upload_s(8000, SIZE) > 1.0, "200 kB at 50 KiB/s"
    assert one.until_event("verified").took_effect
    slowed = _slowed(hosts)
    hosts.upload_s(8001, SIZE)
    assert _slowed(hosts) == slowed > 0, "another port goes by"
    assert "htb" in _queues(hosts)
    one.process.kill()
    until(lambda: _queues(hosts) == before, PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    assert hosts.tables() == ""
    one.process.wait(PROMISE_S)


def test_a_queue_that_somebody_made_is_refused_and_stays(hosts, agent, order):
    hosts.run("tc", "qdisc", "add", "dev", "eth0", "root", "handle", "5:", "htb")
    try:
        (failed,) = agent(order(rate="50KiB/s", device="eth0"), inside=hosts.inside).rest()
        assert "eth0 has a queue that somebody made (htb 5:)" in failed.why
        assert "htb 5:" in _queues(hosts)
    finally:
        hosts.run("tc", "qdisc", "delete", "dev", "eth0", "root")


@pytest.mark.skipif(not HAS_NETEM, reason="this kernel has no sch_netem")
def test_answers_are_late_by_the_delay(hosts, agent, order):
    one = agent(order(delay="300ms", hosts=[THERE]), inside=hosts.inside)
    one.until_event("injected")
    assert hosts.upload_s(8000, 1000) > 0.3
    assert one.until_event("verified").took_effect
    one.stop.write_text("enough")
    assert one.rest()[-1].took_effect


@pytest.mark.skipif(HAS_NETEM, reason="this kernel has sch_netem")
def test_a_kernel_without_netem_is_said_before_anything_is_done(hosts, agent, order):
    before = _queues(hosts)
    (failed,) = agent(order(delay="100ms", jitter="10ms", hosts=[THERE]), inside=hosts.inside).rest()
    assert failed.what == "failed"
    assert "unsupported here: this kernel has no sch_netem: of netem's options only `rate`" in failed.why
    assert (_queues(hosts), hosts.tables()) == (before, "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "at least one of delay, loss, rate"),
        ({"jitter": "5ms", "loss": "1%"}, "need a delay"),
        ({"rate": "fast"}, "size per second"),
        ({"delay": "100 parsecs"}, "100 parsecs"),
        ({"rate": "1MiB/s", "device": "-eth0"}, "no name of a device"),
        ({"rate": "1MiB/s", "device": "nowhere0"}, "nowhere0"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(hosts, order, tmp_path, options, words):
    with pytest.raises(FaultError, match=words):
        plan(order(**options), ledger=tmp_path)


def test_hosts_behind_several_devices_are_not_half_slowed(hosts, agent, order):
    options = {"rate": "1MiB/s", "hosts": [THERE, "127.0.0.1"]}
    (failed,) = agent(order(**options), inside=hosts.inside).rest()
    assert "reached by several devices (eth0, lo)" in failed.why


def test_everybody_is_reached_by_the_default_route(hosts, agent, order):
    hosts.run("ip", "route", "add", "default", "via", THERE)
    try:
        one = agent(order(rate="1MiB/s", hosts=["0.0.0.0/0"]), inside=hosts.inside)
        assert one.until_event("injected").touched[0] == "device eth0"
        one.stop.write_text("enough")
        one.rest()
    finally:
        hosts.run("ip", "route", "delete", "default")
