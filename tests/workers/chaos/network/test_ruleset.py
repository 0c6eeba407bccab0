"""Rules as text: what the kernel takes, whatever is asked for."""

import itertools
import subprocess
from dataclasses import replace

import pytest

from workers.chaos.network.peers import Wanted, select
from workers.chaos.network.ruleset import HIT, ruleset

DROP = f"counter name {HIT} drop"


def _rules(wanted, *, action=DROP, place="host", broker=("192.0.2.9:6379", "[fd00::9]:26379"), tracked=False):
    selection = replace(select(wanted, broker), tracked=tracked)  # whatever this host's kernel does
    return ruleset(selection, name="shakeout_x", action=action, place=place, timeout_s=2.5)


HOSTS = [
    (),
    ("10.0.0.1", "10.2.0.0/16", "10.2.3.0/24"),
    ("fd00::1",),
    ("10.0.0.1", "fd00::/64"),
    ("0.0.0.0/0",),
]


def test_the_kernel_takes_every_combination(hosts):
    all_of_them = [
        _rules(Wanted(hosts=named, ports=ports, transport=transport, direction=direction))
        for named, ports, transport, direction in itertools.product(
            HOSTS, [(), (80, 443, 80)], ["any", "tcp", "udp"], ["both", "in", "out"]
        )
        if named or ports
    ]
    all_of_them += [
        _rules(Wanted(hosts=("10.0.0.1",), loopback=False)),
        _rules(Wanted(hosts=("10.0.0.1",), loopback=False), tracked=True),
        _rules(Wanted(hosts=("10.0.0.1",)), action=f"numgen random mod 1000000 < 999999 {DROP}"),
        _rules(Wanted(direction="out"), place="way out", action="meta priority set 0x7a3f0002"),
    ]
    for number, rules in enumerate(all_of_them):
        told = rules.replace("shakeout_x", f"shakeout_{number}")
        done = subprocess.run(
            [*hosts.inside, "nft", "--check", "-f", "-"],
            input=told,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, f"{told}\n{done.stderr}"


def test_everything_asks_first_whether_it_still_may():
    rules = _rules(Wanted(hosts=("10.0.0.1",)))
    hooks = [line for line in rules.splitlines() if "hook" in line]
    assert len(hooks) == 3
    assert all("meta nfproto @armed jump" in line for line in hooks)
    assert "elements = { ipv4 timeout 2500ms, ipv6 timeout 2500ms }" in rules


def test_redis_passes_before_anything_else_is_asked():
    lines = _rules(Wanted(ports=(6379,))).splitlines()
    for chain in ("arriving", "leaving", "passing"):
        at = lines.index(f"chain {chain} {{")
        assert [line.rpartition(" ")[2] for line in lines[at + 1 : at + 6]] == ["accept"] * 5
        assert "ip saddr 192.0.2.9 tcp sport 6379 accept" in lines[at + 1 : at + 6]
        assert "ip6 daddr fd00::9 tcp dport 26379 accept" in lines[at + 1 : at + 6]


@pytest.mark.parametrize(
    ("direction", "sides"), [("in", ["saddr"]), ("out", ["daddr"]), ("both", ["saddr", "daddr"])]
)
def test_what_passes_through_the_host_is_judged_by_the_same_sides(direction, sides):
    lines = _rules(Wanted(hosts=("10.0.0.1",), direction=direction), broker=()).splitlines()
    at = lines.index("chain passing {") + 1
    assert lines[at + 1 : at + 1 + len(sides)] == [f"ip {side} @peers4 goto does" for side in sides]
