"""Workers that stall, die and come back: no arrival twice, nothing claimed that is not known."""

import json
import signal
import time
from contextlib import suppress

import psutil
import pytest

from orchestrator.dispatch import sender
from orchestrator.live.view import decode_live
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.spec import ShardTask

FENCE_S = 2.0
CASES = 40
GOLDEN = """\
campaign: walls
seed: 3
on_lost_coordinator: 2s
validity: {{lag_p99: 10s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 2s}}
phases:
  - name: only
    activities:
      - name: golden
        kind: regression
        target: chat
        golden: cases.jsonl
        batches: 2
        concurrency: 2
        slos: ["pass_rate >= 100%"]
"""
HANG = """\
      - name: hang
        kind: chaos
        fault: pause-process
        at: 500ms
        for: 10s
        match: {{cmdline: {words}}}
        where: {{at_most: 1}}
"""
REVERTED_WITHIN_S = 3.0
"""Three times the second that is promised of a guardian whose worker is gone."""
SILENT_WITHIN_S = 3 * FENCE_S
"""Three times the fence, by the target's own log."""


def loads(campaign, until, *, more_than: int = 50) -> None:
    until(lambda: len(campaign.log()) > more_than)


def holder(fleet, campaign, shard: int):
    """The worker that runs a shard now, as a process."""
    return fleet.workers[campaign.state().last_attempt(campaign.name, shard).worker]


def test_a_stalled_worker_falls_silent_by_itself_and_its_late_words_do_not_count_twice(fleet, until) -> None:
    fleet.ensure()
    campaign = fleet.submit("worker-stalled", duration="10s")
    loads(campaign, until)
    stalled = holder(fleet, campaign, 0)
    stalled.signal(signal.SIGSTOP)
    stopped_ns = time.monotonic_ns()
    lost = campaign.fact(f.Lost)
    until(lambda: [one for one in campaign.facts(f.Resumed) if one.attempt.endswith(":2")])
    stalled.signal(signal.SIGCONT)
    counts = campaign.agrees(campaign.report())
    old = [
        line
        for line in campaign.log()
        if line["id"].endswith("/1") and int(line["id"].split("/")[1]) % 2 == 0
    ]
    # the lease was renewed up to half a second before the stop
    silent_ns = stopped_ns + SILENT_WITHIN_S * 1e9
    assert [line["id"] for line in old if line["received_ns"] > silent_ns] == []
    assert lost.attempt == "worker-stalled:0:1"
    assert {line["id"].rsplit("/", 1)[1] for line in campaign.log()} == {"1", "2"}
    assert counts["unsent"] > 0
    campaign.each_said_once()
    assert stalled.alive()
    assert stalled.said(f"attempt worker-stalled:0:1 of {campaign.id} stopped: "), "its own log tells"


def test_a_task_that_is_taken_too_late_is_not_done_and_one_that_comes_twice_is_done_once(
    fleet, until
) -> None:
    fleet.ensure()
    name = min(fleet.workers)
    fleet.workers[name].signal(signal.SIGSTOP)  # Redis hands it the task, and it sleeps on it
    campaign = fleet.submit("task-late", top="place_within: 40s\n")
    lost = campaign.fact(f.Lost)
    assert lost.why == f"worker {name} is gone"
    assert lost.fence_s == 0
    fleet.workers[name].signal(signal.SIGCONT)
    again = until(lambda: [one for one in campaign.facts(f.Claimed) if one.attempt.endswith(":2")])[0]
    send_again(fleet, campaign, again.attempt)
    counts = campaign.agrees(campaign.report())
    assert counts["unknown"] == counts["unsent"] == 0
    assert lost.attempt not in {one.attempt for one in campaign.facts(f.Claimed)}
    assert {one.attempt for one in campaign.facts(f.Exited)} == {
        one.attempt for one in campaign.facts(f.Claimed)
    }
    campaign.each_said_once()


def send_again(fleet, campaign, attempt: str) -> None:
    """The very task that the leader sent for an attempt, once more."""
    placed = next(one for one in campaign.facts(f.Placed) if one.attempt == attempt)
    (sha256,) = fleet.store.client.hkeys(names.specs(campaign.id))
    task = ShardTask(
        campaign=campaign.id, activity=placed.activity, shard=placed.shard, of=placed.of,
        number=placed.number, attempt=attempt, worker=placed.worker, incarnation=placed.incarnation,
        spec_sha256=sha256.decode(), kind="load", expires_s=time.time() + 60,
    )  # fmt: skip
    sender(fleet.server.url)(task)


def test_a_batch_that_dies_midway_goes_on_with_the_cases_that_nobody_has_judged(fleet, until) -> None:
    fleet.ensure()
    with (fleet.folder / "cases.jsonl").open("w") as file:
        for row in range(CASES):
            request = {"messages": [{"role": "user", "content": f"case {row}"}], "max_tokens": 240}
            file.write(
                json.dumps({"id": str(row), "request": request, "expected": {"finish_reason": "length"}})
                + "\n"
            )
    campaign = fleet.submit_text(GOLDEN.format(url=fleet.url), "golden")
    # cases whose results are in: half a batch has been asked, and its first snapshots were folded
    until(
        lambda: (
            (live := fleet.store.client.get(names.live(campaign.id)))
            and decode_live(live).activities[0].share > 0.2
        )
    )
    holder(fleet, campaign, 0).kill()
    report = campaign.report()
    second = next(one for one in campaign.facts(f.Placed) if one.attempt == "golden:0:2")
    assert second.skip_rows
    asked_again = {int(line["id"].split("/")[1]) for line in campaign.log() if line["id"].endswith("/2")}
    assert asked_again == {row for row in range(0, CASES, 2) if row not in second.skip_rows}
    golden = report["activities"]["golden"]
    assert golden["verdict"] == "pass", golden["reasons"]
    assert golden["cases"]["judged"] == CASES
    # what the dead one had asked and nobody saw was asked again
    counts = golden["requests"]
    assert counts["sent"] <= len(campaign.log()) <= counts["sent"] + counts["unknown"]
    assert counts["scheduled"] == counts["sent"] + counts["unknown"]
    assert 0 < counts["unknown"] <= len(asked_again)


def test_a_killed_worker_that_starts_again_tells_what_its_engines_did_and_nothing_stays_unknown(
    fleet, until
) -> None:
    fleet.ensure()
    name, home = "phoenix", fleet.folder / "home-phoenix"
    fleet.workers.popitem()[1].kill()
    fleet.worker(name, home=home)
    fleet.ensure()
    campaign = fleet.submit("reborn", fence="15s", duration="7s")
    until(lambda: len(campaign.log()) > 150)
    dead = next(one for one in campaign.facts(f.Placed) if one.worker == name)
    fleet.workers[name].kill()
    reborn = fleet.worker(name, home=home)
    exited = until(lambda: [one for one in campaign.facts(f.Exited) if one.attempt == dead.attempt])[0]
    assert (exited.outcome, exited.known) == ("died", True)
    assert "its next life found the engine gone" in exited.why
    until(lambda: reborn.said(f"worker {name} ready"))
    counts = campaign.agrees(campaign.report())
    assert counts["unknown"] <= 1, "a request that was just being written"
    assert counts["unsent"] > 0
    assert {line["id"].rsplit("/", 1)[1] for line in campaign.log()} == {"1", "2"}, (
        "it went on before the fence"
    )
    campaign.each_said_once()


def test_workers_that_die_before_the_start_cost_nothing(fleet, until) -> None:
    fleet.ensure()
    fleet.aim.signal(signal.SIGSTOP)  # shard 0 waits for the target, shard 1 is ready
    campaign = fleet.submit("died-early", duration="2s")

    def stand() -> bool:
        found = [campaign.state().last_attempt("died-early", shard) for shard in (0, 1)]
        return [one and one.status.replace("waiting", "claimed") for one in found] == ["claimed", "ready"]

    until(stand)
    for name, process in dict(fleet.workers).items():
        process.kill()
        fleet.worker(name)
    until(lambda: len(campaign.facts(f.Exited, f.Lost)) == 2)
    until(stand)
    fleet.aim.signal(signal.SIGCONT)
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] == counts["unsent"] == 0
    assert report["activities"]["died-early"]["coverage"] == 1
    campaign.each_said_once()


def test_a_worker_that_dies_at_its_very_end_leaves_nothing_unknown_to_its_next_life(fleet, until) -> None:
    fleet.ensure()
    campaign = fleet.submit("died-late", fence="30s", duration="4s")
    until(lambda: len(campaign.log()) > 200)  # of about 240
    name = campaign.state().last_attempt("died-late", 1).worker
    fleet.workers[name].signal(signal.SIGSTOP)  # it hears nothing more of what its engine does
    until(lambda: _is_quiet(campaign))
    fleet.workers[name].kill()
    fleet.worker(name)
    report = campaign.report()
    counts = campaign.agrees(report)
    campaign.states_gaps(report)
    assert counts["unknown"] <= 1
    assert [one.known for one in campaign.facts(f.Exited) if one.attempt == "died-late:1:1"] == [True]


def _is_quiet(campaign) -> bool:
    """Whether the target has heard nothing of its load for a second."""
    return time.monotonic() - campaign.log()[-1]["received_ns"] / 1e9 > 1


def test_a_campaign_whose_workers_are_all_gone_ends_by_itself_and_says_so(fleet, until) -> None:
    fleet.ensure()
    campaign = fleet.submit("all-gone", duration="6s")
    loads(campaign, until)
    for process in fleet.workers.values():
        process.kill()
    report = campaign.report(within_s=60)
    counts = campaign.agrees(report)
    gaps = campaign.states_gaps(report)
    assert {gap["shard"] for gap in gaps} == {0, 1}
    assert all("no sign of worker" in gap["why"] for gap in gaps)
    assert counts["unsent"] > 0
    assert report["verdict"] == "invalid"
    assert any("of the scheduled arrivals were sent and observed" in why for why in report["reasons"])


@pytest.mark.root
def test_a_worker_whose_disk_is_full_is_passed_over_and_the_campaign_goes_on_elsewhere(
    fleet, until, mounted
) -> None:
    fleet.ensure(workers=1)
    home = mounted("size=1m")
    fleet.worker("full", home=home)
    fleet.ensure(workers=2)
    (home / "filler").write_bytes(b"")
    with suppress(OSError), (home / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    campaign = fleet.submit("disk-full", duration="2s")
    report = campaign.report()
    counts = campaign.agrees(report)
    assert counts["unknown"] == counts["unsent"] == 0
    (ended,) = [one for one in campaign.facts(f.Exited) if one.outcome == "died"]
    assert "cannot keep the engine's counts" in ended.why
    assert "No space left on device" in ended.why
    ready = {one.attempt for one in campaign.facts(f.Ready)}
    assert "full" not in {one.worker for one in campaign.facts(f.Claimed) if one.attempt in ready}
    fleet.workers.pop("full").kill()


def test_a_worker_that_dies_while_it_holds_a_fault_leaves_no_fault_behind_and_the_report_says_so(
    fleet, until, victim
) -> None:
    words, process = victim
    fleet.ensure()
    campaign = fleet.submit(
        "fault-holder", duration="12s", shards=1, more=HANG.format(words=words), fence="10s"
    )
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    (placed,) = [one for one in campaign.facts(f.Placed) if one.activity == "hang"]
    until(lambda: [one for one in campaign.facts(f.FaultSeen) if one.what == "injected"])
    fleet.workers[placed.worker].kill()
    killed_s = time.monotonic()
    until(lambda: process.status() != psutil.STATUS_STOPPED)
    assert time.monotonic() - killed_s < REVERTED_WITHIN_S
    fleet.worker(placed.worker)
    report = campaign.report(within_s=60)
    campaign.agrees(report)
    assert report["activities"]["hang"]["verdict"] == "invalid"
    assert any("ended before its time" in why for why in report["activities"]["hang"]["reasons"])
    (fault,) = report["faults"]
    assert fault["injected"]
    assert fault["reverted"], fault
