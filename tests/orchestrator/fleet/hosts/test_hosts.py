"""A load from four hosts with clocks of their own, and what becomes of it when the network breaks."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import psutil
import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.plan import plan_of
from workers.contract import facts as f
from workers.contract.schedule import blocks

pytestmark = pytest.mark.root

FENCE_S = 2.0
LOST = ("no-redis", "no-network")
LATE_S = 2 * FENCE_S
"""Between an authorisation's end and the target's log of what was under way then: three fences in all."""
EARLY_S = 0.3
APART_S = 3.0
"""More than any busy machine needs from an arrival to its receipt, less than any of the clocks is off."""
DRIFTED_S = 0.02
"""What w2's clock drifts in ten seconds: more than the fleet's clock is uncertain by."""
TAKEN_OVER_WITHIN_S = 30.0
"""Three times the 10 s that are promised."""
HEAD = """\
campaign: {name}
seed: 3
on_lost_coordinator: {fence}
validity: {{lag_p99: 10s, start_skew: 10s}}
place_within: {place_within}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: {timeout}}}
phases:
  - name: only
    activities:
"""
LOAD = """\
      - name: {name}
        kind: load
        target: chat
        shards: {shards}
        where: {where}
        arrivals: {{process: poisson, rate: {rate}}}
        duration: {duration}
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["{slos}"]
"""
GIVEN = {
    "fence": f"{FENCE_S:g}s", "place_within": "60s", "timeout": "1s", "shards": 4, "where": "{}",
    "rate": "60/s", "duration": "6s",
    "slos": "success_rate >= 90%",
}  # fmt: skip


@pytest.fixture
def submit(lab):
    """Submits a campaign of loads: `submit(name, load, ..., **given)`, each load what differs in it."""

    def start(name: str, *loads: dict[str, object], **given: object):
        told = {"name": name, "url": lab.fleet.url, **GIVEN, **given}
        text = HEAD.format(**told) + "".join(LOAD.format(**(told | load)) for load in loads or ({},))
        return lab.fleet.submit_text(text, name)

    return start


def intended(campaign, activity: str) -> dict[int, float]:
    """Index -> seconds since the phase's start, of the whole schedule of an activity."""
    file = campaign.fleet.folder / f"{campaign.name}.yaml"
    plan = plan_of(load_campaign(file).campaign, seed=3)
    found: dict[int, float] = {}
    for block in blocks(plan.activity(activity).arrivals):
        found.update(zip(block.indices.tolist(), (block.times_ns / 1e9).tolist(), strict=True))
    return found


def received(campaign, activity: str) -> list[dict[str, object]]:
    """What the target received of one activity."""
    return [one for one in campaign.fleet.received() if (one["id"] or "").startswith(f"{activity}/")]


def number(line: dict[str, object]) -> int:
    return int(str(line["id"]).split("/")[1])


def attempt(line: dict[str, object]) -> int:
    return int(str(line["id"]).split("/")[2])


def once_each(lines: list[dict[str, object]]) -> int:
    """How many arrivals the target saw; none of them twice."""
    seen = Counter(number(line) for line in lines)
    assert max(seen.values(), default=0) <= 1, "an arrival was offered twice"
    return len(seen)


def eaten_by_network(counts) -> int:
    """At most so many requests were written and never came to the target."""
    return sum(counts["by_error"].get(kind, 0) for kind in ("connect", "timeout", "abandoned"))


def accounted(report, activity: str, lines: list[dict[str, object]]) -> dict[str, int]:
    """The counts of an activity, held against the log."""
    counts = report["activities"][activity]["requests"]
    eaten = eaten_by_network(counts)
    seen = once_each(lines)
    assert counts["scheduled"] == counts["ok"] + counts["failed"] + counts["unsent"] + counts["unknown"]
    assert counts["sent"] - eaten <= seen <= counts["sent"] + counts["unknown"], (counts, seen)
    return counts


def seconds(campaign) -> dict[int, int]:
    """Second -> how many requests meant for it were sent, as intervals.parquet says; its clock is checked."""
    rows = pd.read_parquet(campaign.fleet.folder / "runs" / campaign.id / "intervals.parquet")
    (started,) = campaign.facts(f.PhaseStarted)
    judged = rows[rows["group"] == "judged"]
    assert (judged["start_s"] == started.start_s + judged["second"]).all()
    return dict(zip(judged["second"].tolist(), judged["sent"].tolist(), strict=True))


def off_s(lab, worker: str) -> float:
    """How far the fleet's clock is ahead of a host's time of day, as its worker says now."""
    store = lab.fleet.store
    return next(card.offset_s for card in store.fleet(store.now_s()) if card.worker == worker)


def test_four_hosts_whose_clocks_differ_send_one_load_and_every_arrival_in_its_second(lab, submit) -> None:
    before_s = off_s(lab, "w2")
    campaign = submit("quiet", duration="4s")
    report = campaign.report()
    counts = campaign.agrees(report)
    lines = campaign.log()
    assert (counts["unknown"], counts["unsent"]) == (0, 0)
    assert counts["ok"] == counts["scheduled"] == len(lines)
    assert {one.host for one in campaign.facts(f.Placed)} == {"w1", "w2", "w3", "w4"}
    meant = intended(campaign, "quiet")
    assert set(meant) == {number(line) for line in lines}
    assert seconds(campaign) == Counter(int(at_s) for at_s in meant.values())
    (started,) = campaign.facts(f.PhaseStarted)
    late = {number(line): line["received"] - started.start_s - meant[number(line)] for line in lines}
    assert min(late.values()) > -EARLY_S
    assert max(late.values()) < APART_S
    firsts = [late[min(index for index in late if index % 4 == shard)] for shard in range(4)]
    skew_s = report["activities"]["quiet"]["generator"]["start_skew_s"]
    assert skew_s < APART_S
    assert abs(skew_s - (max(firsts) - min(firsts))) < APART_S
    clocks = {one["worker"]: one["clock_offset_s"] for one in report["fleet"]}
    assert abs(clocks["w1"]) < EARLY_S
    assert clocks["w2"] == pytest.approx(-5, abs=2)
    assert clocks["w3"] == pytest.approx(60, abs=1)
    lab.until(lambda: off_s(lab, "w2") < before_s - DRIFTED_S)  # it drifts on


def test_hosts_that_are_cut_off_from_redis_the_target_or_both_lose_nothing_silently(lab, submit) -> None:
    loads = [
        {"name": f"no-{what}", "shards": 2, "where": f"{{host: [{host}, w4]}}", "rate": "30/s"}
        for what, host in (("redis", "w1"), ("target", "w2"), ("network", "w3"))
    ]
    campaign = submit("cuts", *loads, duration="120s")
    lab.until(lambda: all(len(received(campaign, load["name"])) > 30 for load in loads), within_s=60)
    cut_s = time.time()
    lab.lan.cut("w1", "redis")
    lab.lan.cut("w2", "target")
    lab.lan.unplug("w3")
    lab.until(lambda: all(sent_by(campaign, name, 2) for name in ("no-redis", "no-network")), within_s=60)
    lab.well()
    healed_s = time.time()
    own = {one.activity: one for one in campaign.facts(f.Placed) if one.number == 1 and one.host != "w4"}
    lab.until(
        lambda: {one.attempt for one in campaign.facts(f.Exited)} == {own[name].attempt for name in LOST}
    )
    lab.until(lambda: answered_since(campaign, own["no-target"], healed_s), within_s=60)
    assert lab.command("ops-2", "abort", campaign.id, "--why", "seen enough").returncode == 0
    report = campaign.report(within_s=60)
    campaign.each_said_once()
    assert {one.attempt for one in campaign.facts(f.Lost)} == {own[name].attempt for name in LOST}
    (started,) = campaign.facts(f.PhaseStarted)
    until_s = cut_s + FENCE_S + LATE_S  # until when they were authorised
    assert max(float(one["received"]) for one in mine(campaign, own["no-redis"])) < until_s
    for name in LOST:
        meant = intended(campaign, name)
        assert max(started.start_s + meant[number(one)] for one in mine(campaign, own[name])) < until_s
        gap_of_one_shard(campaign, report, own[name])
    for load in loads:
        name = str(load["name"])
        counts = accounted(report, name, received(campaign, name))
        assert report["activities"][name]["generator"]["twice"] == 0
        assert counts["unknown"] == 0, "who was cut off has told what it did"
    errors = {name: one["requests"]["by_error"].keys() for name, one in report["activities"].items()}
    assert errors["no-redis"] <= {"abandoned"}
    assert {"connect"} <= errors["no-target"] <= {"connect", "timeout", "abandoned"}
    again = submit("again", shards=3, where="{host: [w1, w2, w3]}", duration="2s")
    counts = again.agrees(again.report(within_s=60))
    assert counts["ok"] == counts["scheduled"]
    assert {(one.host, one.number) for one in again.facts(f.Placed)} == {("w1", 1), ("w2", 1), ("w3", 1)}


def sent_by(campaign, activity: str, number_: int) -> list[dict[str, object]]:
    """What the first, second ... attempts at an activity's shards have sent."""
    return [line for line in received(campaign, activity) if attempt(line) == number_]


def mine(campaign, placed: f.Placed) -> list[dict[str, object]]:
    """What one attempt has sent."""
    lines = sent_by(campaign, placed.activity, placed.number)
    return [line for line in lines if number(line) % placed.of == placed.shard]


def answered_since(campaign, placed: f.Placed, since_s: float) -> bool:
    """Whether an attempt has reached the target since then."""
    return any(float(line["received"]) > since_s for line in mine(campaign, placed))


def gap_of_one_shard(campaign, report, placed: f.Placed) -> None:
    """The gap that a lost attempt left is as long as the target's log shows it."""
    name = placed.activity
    (gap,) = [one for one in report["activities"][name]["gaps"] if one["attempt"] == placed.attempt]
    (resumed,) = [one for one in campaign.facts(f.Resumed) if one.attempt == f"{name}:{placed.shard}:2"]
    assert gap["until_s"] == pytest.approx(resumed.from_s)
    own = {
        index: at_s for index, at_s in intended(campaign, name).items() if index % placed.of == placed.shard
    }
    seen = {number(line) for line in mine(campaign, placed)}
    assert min(number(line) for line in sent_by(campaign, name, 2)) > max(seen)
    skipped = [index for index, at_s in own.items() if index > max(seen) and at_s < resumed.from_s]
    eaten = eaten_by_network(report["activities"][name]["requests"])
    assert len(skipped) - eaten - 1 <= gap["unsent"] <= len(skipped) + 1


def test_a_standby_on_another_host_leads_when_the_leaders_host_is_cut_off(lab, submit) -> None:
    campaign = submit("leader-cut-off", fence="30s", duration="8s")
    lab.until(lambda: len(campaign.log()) > 50)
    former = lab.leading()
    lab.lan.unplug(former)
    began_s = time.monotonic()
    lab.until(lambda: lab.leading() != former)
    assert time.monotonic() - began_s < TAKEN_OVER_WITHIN_S
    counts = campaign.agrees(campaign.report())
    assert counts["unknown"] == counts["unsent"] == 0
    assert campaign.facts(f.Lost) == []
    lab.lan.heal()
    lab.until(
        lambda: lab.leaders[former].said("standing by") or lab.leaders[former].said("the lead was lost")
    )
    assert lab.leading() != former
    campaign.each_said_once()


def test_a_jump_of_redis_time_of_day_costs_nobody_an_arrival(lab, submit) -> None:
    campaign = submit("clock-jumps", fence="30s", duration="5s")
    lab.until(lambda: len(campaign.log()) > 50)
    before_s = lab.fleet.store.now_s() - time.time()
    lab.jump()
    lab.until(lambda: lab.fleet.store.now_s() - time.time() > before_s + APART_S)
    counts = campaign.agrees(campaign.report(within_s=60))
    assert counts["unknown"] == counts["unsent"] == 0
    assert campaign.facts(f.Lost) == []
    campaign.each_said_once()


def test_a_network_that_loses_one_packet_in_ten_loses_no_number(lab, submit) -> None:
    for host in ("w1", "w2", "w3", "w4"):
        lab.lan.lose(host, "redis")
        lab.lan.lose(host, "target")
    for host in ("ops-1", "ops-2"):
        lab.lan.lose(host, "redis")
    campaign = submit("lossy", timeout="5s", duration="4s", fence="30s")
    report = campaign.report(within_s=90)
    counts = accounted(report, "lossy", campaign.log())
    campaign.each_said_once()
    assert counts["ok"] > counts["scheduled"] / 2


def test_a_target_whose_host_is_gone_fails_and_is_not_called_invalid(lab, submit) -> None:
    campaign = submit("target-gone", duration="8s", slos="never(timeout, connect)")
    lab.until(lambda: len(campaign.log()) > 50)
    lab.lan.unplug("target")
    report = campaign.report()
    counts = accounted(report, "target-gone", campaign.log())
    assert report["verdict"] == "fail", report["reasons"]
    assert report["activities"]["target-gone"]["verdict"] == "fail"
    assert set(counts["by_error"]) <= {"connect", "timeout"}
    assert counts["unknown"] == 0


def test_a_target_that_no_host_reaches_is_waited_for_and_then_named(lab, submit) -> None:
    lab.lan.unplug("target")
    report = submit("no-target-yet", duration="2s", place_within="3s").report()
    assert report["verdict"] == "invalid"


def test_no_host_outlives_the_one_who_started_it(lab, until) -> None:
    lan = Path(__file__).parent / "lan.py"
    holds = (
        "import os, subprocess, sys, time\n"
        f"argv = ['unshare', '--net', sys.executable, {str(lan)!r}, f'--die-with-parent={{os.getpid()}}']\n"
        "lan = subprocess.Popen([*argv, 'one=10.78.0.1', 'two=10.78.0.2'], stdin=subprocess.PIPE)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", holds], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        first = json.loads(holder.stdout.readline())
        enter = ("nsenter", "--target", str(first["one"]), "--net", "--pid", "--")
        inside = subprocess.Popen([*enter, "sleep", "600"])
        (sleeps,) = until(psutil.Process(inside.pid).children)
        family = [*psutil.Process(holder.pid).children(recursive=True), sleeps]
        assert len(family) == len(["switch", "holder", "first process"] * 2)
        holder.kill()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))
    inside.wait(30)
