"""Workers that leave a running load, one after another: nothing is lost, doubled or left unsaid."""

import json
import os
import secrets
import signal
import subprocess
import sys

import psutil
import pytest

from workers.contract import facts as f
from workers.contract.signed.signing import read_keys

RATE_PER_S = 60
MOST_GAP_S = 3.0
"""Three times what is promised of a hand-over."""
GAPS = ", achieved: 70%, coverage: 70%"
"""The verdict is not that of a slow machine: a gap as long as that leaves it as it is."""
WITHIN_S = 60.0
ADA = f"ada={secrets.token_hex(32)}"
LOOP = """\
      - name: loop
        kind: load
        target: chat
        arrivals: {process: closed, users: 6, think: 100ms}
        duration: 11s
        shards: 1
        data: {synthetic: {input_tokens: 4, output_tokens: 2}}
        slos: ["success_rate >= 50%"]
"""
HANG = """\
      - name: hang
        kind: chaos
        fault: pause-process
        at: 1s
        for: 50s
        match: {{cmdline: {words}}}
        where: {{at_most: 1}}
"""
OTHER_VERSION = """\
import importlib.metadata as metadata
true = metadata.version
metadata.version = lambda name: "9.9.9" if name == "shakeout" else true(name)
"""


@pytest.fixture(scope="module")
def fleet(new_fleet):
    """A fleet of this file's own, with keys: its workers come and go."""
    made = new_fleet(SHAKEOUT_SIGNING_KEY=f"ops={secrets.token_hex(32)}", SHAKEOUT_SUBMITTER_KEYS=ADA)
    made.keys = read_keys(ADA)
    return made


def shakeout(fleet, *words):
    own = {"SHAKEOUT_BROKER": fleet.server.url, "SHAKEOUT_SIGNING_KEY": ADA, "LOGNAME": "ada"}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        env={**os.environ, **own},
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip


def loads(campaign, until, *, more=20):
    before = len(campaign.log())
    until(lambda: len(campaign.log()) > before + more)


def ended(process, until):
    until(lambda: not process.alive(), within_s=WITHIN_S)
    return process.popen.returncode


def again(fleet, name, until):
    """The next life of a worker, and no other one's."""
    process = fleet.worker(name)
    until(lambda: process.said(f"worker {name} ready"), within_s=WITHIN_S)


def handed_over(campaign):
    return [one for one in campaign.state().attempts.values() if one.yielded]


def test_three_workers_are_restarted_one_after_another_under_a_load_that_notices_nothing(
    fleet, until
) -> None:
    fleet.ensure(workers=3)
    campaign = fleet.submit("rolling", shards=3, rate=f"{RATE_PER_S}/s", duration="90s", fence="10s")
    loads(campaign, until)
    holders = {one.worker for one in campaign.state().attempts.values()}
    for number, name in enumerate(sorted(holders)):
        old = fleet.workers[name]
        if number % 2:
            told = shakeout(fleet, "drain", name, "--wait", "--why", "a new kernel", "--json")
            assert told.returncode == 0, told.stderr
            assert json.loads(told.stdout)["state"] == "gone"
        else:
            old.signal(signal.SIGTERM)
        assert ended(old, until) == 0
        assert old.said("draining")
        loads(campaign, until)
        again(fleet, name, until)
    state = campaign.state()
    assert shakeout(fleet, "abort", campaign.id).returncode == 0
    report = campaign.report()
    counts = campaign.agrees(report)
    passed_on = [one for one in state.attempts.values() if one.yielded]
    assert {one.worker for one in passed_on} == holders
    assert len(passed_on) >= len(holders)
    assert campaign.facts(f.Lost) == []
    assert counts["unknown"] == 0
    for one in passed_on:
        successor = next(
            two for two in state.attempts.values() if (two.shard, two.number) == (one.shard, one.number + 1)
        )
        assert 0 <= successor.from_s - one.until_s < MOST_GAP_S
        assert successor.worker != one.worker
    told = {
        one["attempt"]: (one["outcome"], one["why"]) for one in report["activities"]["rolling"]["attempts"]
    }
    assert {told[one.id] for one in passed_on} == {("stopped", "handed over")}
    campaign.each_said_once()
    campaign.states_gaps(report)


def test_a_campaign_that_changes_hands_ends_with_the_verdict_that_it_would_have_had(fleet, until) -> None:
    fleet.ensure(workers=2)
    campaign = fleet.submit("calm", shards=1, duration="11s", fence="10s", more=LOOP, validity=GAPS)
    loads(campaign, until)
    holder = campaign.state().last_attempt("calm", 0).worker
    fleet.workers[holder].signal(signal.SIGTERM)
    assert ended(fleet.workers[holder], until) == 0
    report = campaign.report(within_s=WITHIN_S)
    counts = campaign.agrees(report)
    moved = handed_over(campaign)
    assert moved
    assert {one.worker for one in moved} == {holder}
    assert counts["unknown"] == 0
    assert (report["verdict"], report["reasons"]) == ("pass", [])
    page = (fleet.folder / "runs" / campaign.id / "report.html").read_text()
    assert "is to be handed over, its worker drains" in page
    assert "hands over: it begins nothing from" in page
    assert "is lost" not in page


def test_a_leader_that_dies_in_the_middle_of_a_hand_over_changes_nothing_but_the_time(fleet, until) -> None:
    fleet.ensure(coordinators=2, workers=2)
    campaign = fleet.submit("leaderless", shards=1, duration="60s", fence="15s")
    loads(campaign, until)
    holder = campaign.state().last_attempt("leaderless", 0).worker
    leader = fleet.leader()
    fleet.workers[holder].signal(signal.SIGTERM)
    campaign.fact(f.Draining)
    leader.kill()
    assert ended(fleet.workers[holder], until) == 0
    until(lambda: [one for one in campaign.facts(f.Resumed) if one.attempt == "leaderless:0:2"])
    loads(campaign, until)
    assert shakeout(fleet, "abort", campaign.id).returncode == 0
    report = campaign.report()
    assert campaign.agrees(report)["unknown"] == 0
    campaign.states_gaps(report)
    campaign.each_said_once()


def test_a_fault_on_a_worker_that_drains_is_reverted_and_not_done_again(fleet, until, victim) -> None:
    words, process = victim
    fleet.ensure(workers=2)
    more = HANG.format(words=words)
    campaign = fleet.submit("faulty", shards=2, duration="60s", fence="10s", more=more)
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    faulty = campaign.state().last_attempt("hang", 0).worker
    fleet.workers[faulty].signal(signal.SIGTERM)
    assert ended(fleet.workers[faulty], until) == 0
    assert process.status() != psutil.STATUS_STOPPED
    loads(campaign, until)
    assert shakeout(fleet, "abort", campaign.id).returncode == 0
    report = campaign.report()
    assert [one.what for one in campaign.facts(f.FaultSeen)] == ["injected", "verified", "reverted"]
    assert len(campaign.state().attempts_of("hang")) == 1
    assert report["activities"]["hang"]["verdict"] == "invalid"
    assert any("draining" in one["why"] for one in report["activities"]["hang"]["attempts"])
    assert campaign.agrees(report)["unknown"] == 0


def newer(fleet, start):
    """A part of the fleet at another version, as `start` makes it."""
    (fleet.folder / "site").mkdir(exist_ok=True)
    (fleet.folder / "site" / "sitecustomize.py").write_text(OTHER_VERSION)
    fleet.environment["PYTHONPATH"] = str(fleet.folder / "site")
    try:
        return start()
    finally:
        del fleet.environment["PYTHONPATH"]


def test_a_fleet_is_upgraded_under_load_half_of_its_workers_first_then_the_coordinator(fleet, until) -> None:
    fleet.ensure(workers=2)
    campaign = fleet.submit("skewed", shards=2, duration="90s", fence="15s")
    loads(campaign, until)
    first, second = sorted(fleet.workers)
    # the first worker leaves, and comes back as another version: nobody uses it, everybody is told
    fleet.workers[first].signal(signal.SIGTERM)
    assert ended(fleet.workers.pop(first), until) == 0
    started = newer(fleet, lambda: fleet.worker("newer"))
    until(lambda: started.said("worker newer ready"), within_s=WITHIN_S)
    listed = {one["worker"]: one for one in json.loads(shakeout(fleet, "workers", "--json").stdout)}
    assert listed["newer"]["version"] == "9.9.9"
    assert "9.9.9" in " ".join(listed["newer"]["troubles"])
    loads(campaign, until)
    assert "newer" not in {one.worker for one in campaign.state().attempts.values()}
    # the coordinator follows, and with it the version that is asked for; what runs goes on
    old = fleet.leader()
    newer(fleet, fleet.coordinator)
    old.signal(signal.SIGTERM)
    assert ended(old, until) == 0
    until(lambda: fleet.leader() is not old)
    loads(campaign, until)
    # the second worker hands over to the upgraded one
    fleet.workers[second].signal(signal.SIGTERM)
    assert ended(fleet.workers.pop(second), until) == 0
    loads(campaign, until)
    running = {one.worker for one in campaign.state().attempts.values() if one.status == "running"}
    assert running == {"newer"}
    assert shakeout(fleet, "abort", campaign.id).returncode == 0
    report = campaign.report()
    assert campaign.agrees(report)["unknown"] == 0
    assert campaign.facts(f.Lost) == []
    campaign.states_gaps(report)
    fleet.worker("older")
    until(lambda: "older" in {card.worker for card in fleet.store.fleet(fleet.store.now_s())})
    waiting = fleet.submit("choosy", shards=8, duration="5s", top="place_within: 2s\n")
    assert "nearest is older, which is version" in waiting.report()["reasons"][0]
    for one in (fleet.leader(), fleet.workers.pop("newer")):  # not for other tests
        one.kill()
