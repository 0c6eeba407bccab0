"""Several faults in one activity, one fault a target, steadiness, breaches, dry runs: with real parts."""

import json
import signal
import subprocess
import sys
import threading
import time

import psutil

from workers.contract import facts as f

REVERTED_WITHIN_S = 15.0
"""Three times the 5 s that are promised."""
HELD_S = 15.0
"""Long enough for another campaign to come and to be refused, also where the machine stalls."""
TWICE = """\
      - name: twice
        kind: chaos
        at: 1s
        pause: 2500ms
        where: {{at_most: 1}}
        faults:
          - {{fault: pause-process, match: {{cmdline: {words}}}, for: 3s}}
          - {{fault: pause-process, match: {{cmdline: {words}}}, for: 3s}}
"""
HOLD = """\
      - name: {name}
        kind: chaos
        at: {at}
        for: {length}
        fault: pause-process
        match: {{cmdline: {words}}}
"""


class Watcher:
    """Sees from outside when a process was stopped: spans of the monotonic clock."""

    def __init__(self, process):
        self.process, self.spans, self._over = process, [], threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        stopped = False
        while not self._over.wait(0.01):
            now = self.process.status() == psutil.STATUS_STOPPED
            if now and not stopped:
                self.spans.append([time.monotonic(), None])
            if stopped and not now:
                self.spans[-1][1] = time.monotonic()
            stopped = now


def plan(fleet, campaign_name, *words):
    """What `shakeout plan --json` says of a campaign's file."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "plan", f"{campaign_name}.yaml", "--json", *words],
        capture_output=True, text=True, timeout=60, check=False, cwd=fleet.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_step_is_done_in_turn_and_stands_in_the_report_by_itself(fleet, victim) -> None:
    words, process = victim
    fleet.ensure()
    with Watcher(process) as seen:
        campaign = fleet.submit("composed", duration="12s", more=TWICE.format(words=words))
        report = campaign.report()
    assert process.status() != psutil.STATUS_STOPPED
    assert len(seen.spans) == 2
    assert all(until_s is not None for _, until_s in seen.spans)
    assert seen.spans[1][0] - seen.spans[0][1] > 0.2, "the second waits for the first, and pauses"
    first, second = report["faults"]
    assert [(one["name"], one["step"], one["fault"]) for one in (first, second)] == [
        ("twice", 1, "pause-process"),
        ("twice", 2, "pause-process"),
    ]
    for one, (from_s, until_s) in zip((first, second), seen.spans, strict=True):
        assert one["took_effect"] is True, one["why"]
        assert one["worker"] in fleet.workers
        assert one["processes"][0].startswith(f"{process.pid} ")
        assert one["reverted"] > one["injected"]
        assert until_s - from_s > 0.4
    assert first["reverted_after_s"] <= second["injected_after_s"]
    assert report["activities"]["twice"]["verdict"] == "pass", report["activities"]["twice"]["reasons"]
    campaign.agrees(report)


def test_a_process_is_under_one_fault_at_a_time_whichever_campaign_it_is_of(fleet, until, victim) -> None:
    words, process = victim
    fleet.ensure()
    top = "share_target: true\n"
    hold = HOLD.format(name="first", at="500ms", length=f"{HELD_S:g}s", words=words)
    one = fleet.submit("one", duration="18s", top=top, more=hold)
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    other = fleet.submit(
        "other", duration="3s", top=top, more=hold.replace("first", "second").replace(f"{HELD_S:g}s", "1s")
    )
    refused = other.report()
    (fault,) = refused["faults"]
    assert "one fault a target at a time" in fault["why"]
    assert one.id in fault["why"], "it says whose fault is in the way"
    assert fault["injected"] is None
    assert refused["activities"]["second"]["verdict"] == "invalid"
    assert process.status() == psutil.STATUS_STOPPED, "the first one goes on"
    held = one.report()
    assert held["faults"][0]["took_effect"] is True
    assert held["faults"][0]["reverted_after_s"] - held["faults"][0]["injected_after_s"] >= HELD_S


def test_no_fault_is_done_to_traffic_that_is_broken_already(fleet, until, victim) -> None:
    words, process = victim
    fleet.ensure()
    more = HOLD.format(name="late", at="9s", length="2s", words=words)
    with Watcher(process) as seen:
        campaign = fleet.submit("broken", duration="13s", rate="30/s", more=more)
        until(campaign.log)
        fleet.aim.signal(signal.SIGSTOP)  # every request runs into its timeout
        try:
            report = campaign.report(within_s=60.0)
        finally:
            fleet.aim.signal(signal.SIGCONT)
    assert seen.spans == []
    withheld = campaign.fact(f.FaultsWithheld)
    assert "broken is not steady" in withheld.why
    assert "success_rate >= 50%" in withheld.why
    assert campaign.facts(f.FaultSeen) == []
    (fault,) = report["faults"]
    assert (fault["injected"], fault["took_effect"]) == (None, False)
    assert "withheld" in fault["why"]
    (reason,) = report["activities"]["late"]["reasons"]
    assert "withheld" in reason
    assert report["activities"]["late"]["verdict"] == "invalid"


def test_silence_is_a_breach_that_ends_a_held_fault_within_seconds(fleet, until) -> None:
    """A target that hangs answers nothing, and 60 s of patience keep its failures from being counted."""
    fleet.ensure()
    target = psutil.Process(fleet.aim.popen.pid)
    text = BREACHED.format(url=fleet.url, words=f"demo_target.*{fleet.target_log.parent}/")
    with Watcher(target) as seen:
        campaign = fleet.submit_text(text, "breached-by-a-fault")
        until(lambda: seen.spans)
        aborting = campaign.fact(f.Aborting)
        until(lambda: seen.spans[0][1])
        report = campaign.report(within_s=90.0)
    assert aborting.by == "abort_if"
    assert len(seen.spans) == 1
    # 2 s of the window, a second's rounding, and what is promised; the fault itself would last 40 s
    assert seen.spans[0][1] - seen.spans[0][0] < 2 + 1 + REVERTED_WITHIN_S
    reverted = next(one for one in campaign.facts(f.FaultSeen) if one.what == "reverted")
    assert reverted.at_s - aborting.at_s < REVERTED_WITHIN_S
    assert (report["verdict"], report["exit_code"]) == ("fail", 1)
    assert "success_rate < 90% over 2s" in report["reasons"][0]
    assert report["faults"][0]["residue"] == ""


BREACHED = """\
campaign: breached-by-a-fault
seed: 3
validity: {{lag_p99: 10s, start_skew: 10s}}
abort_if: ["success_rate < 90% over 2s"]
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 60s}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        shards: 1
        arrivals: {{process: poisson, rate: 30/s}}
        duration: 50s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
      - name: hang
        kind: chaos
        at: 4s
        for: 40s
        fault: pause-process
        match: {{cmdline: {words}}}
"""


def test_a_dry_run_shows_the_very_processes_and_touches_nothing(fleet, victim) -> None:
    words, process = victim
    fleet.ensure()
    nobody = HOLD.format(name="nobody", at="4s", length="1s", words="no-such-process-anywhere")
    text = HOLD.format(name="hang", at="1s", length="1s", words=words) + nobody
    (fleet.folder / "dry.yaml").write_text(DRY.format(url=fleet.url) + text)
    with Watcher(process) as seen:
        there = plan(fleet, "dry", "--broker", fleet.server.url)
        here = plan(fleet, "dry")
    assert seen.spans == []
    for said in (there, here):
        hang, missing = said["phases"][0]["faults"]
        (now,) = hang["now"]
        assert now["processes"][0].startswith(f"{process.pid} ")
        assert now["refused"] == ""
        (now,) = missing["now"]
        assert "no process matches" in now["refused"]
    assert there["phases"][0]["faults"][0]["now"][0]["worker"] in fleet.workers


DRY = """\
campaign: dry
seed: 3
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {{process: poisson, rate: 30/s}}
        duration: 9s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
"""
