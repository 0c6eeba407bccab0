"""The red button for real: every engine silent and every fault reverted, whoever leads or does not."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil
import pytest

from workers.contract import facts as f

SILENT_WITHIN_S = 9.0
"""Three times the 3 s that are promised."""
HANG = """\
      - name: hang
        kind: chaos
        fault: pause-process
        at: 500ms
        for: 50s
        match: {{cmdline: {words}}}
        where: {{at_most: 1}}
"""


def shakeout(fleet, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command of a person."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words, "--broker", fleet.server.url],
        capture_output=True, text=True, timeout=60, check=False, cwd=fleet.folder,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pressed:
    """When the button was: on the common clock, and as the target's log has the time."""

    at_s: float
    logged_s: float


@pytest.fixture
def button(fleet):
    """Presses halt; resume is said with the test's end, whatever came of it."""

    def press() -> Pressed:
        done = shakeout(fleet, "halt", "--why", "test", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["waiting"] == []
        # the command takes a while to start and to end: it says when it pressed
        return Pressed(told["at_s"], time.monotonic() - (fleet.store.now_s() - told["at_s"]))

    yield press
    shakeout(fleet, "resume")


def after(campaign, pressed: Pressed) -> list[float]:
    """How long after the button requests still came in, in seconds."""
    return [late for line in campaign.log() if (late := line["received_ns"] / 1e9 - pressed.logged_s) > 0]


def test_the_red_button_silences_eight_engines_and_reverts_the_fault_with_the_coordinator_killed_first(
    fleet, until, victim, button
) -> None:
    words, process = victim
    fleet.ensure(workers=4)
    campaign = fleet.submit(
        "halted", shards=8, rate="160/s", fence="30s", duration="60s", more=HANG.format(words=words)
    )
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    until(lambda: len({int(line["id"].split("/")[1]) % 8 for line in campaign.log()[-200:]}) == 8)
    for one in fleet.coordinators:
        one.kill()
    pressed = button()
    reverted = until(lambda: [one for one in campaign.facts(f.FaultSeen) if one.what == "reverted"])[0]
    assert process.status() != psutil.STATUS_STOPPED
    assert reverted.at_s - pressed.at_s < SILENT_WITHIN_S
    until(lambda: time.monotonic() > pressed.logged_s + SILENT_WITHIN_S / 2)
    silent_s = max(after(campaign, pressed), default=0.0)
    assert silent_s < SILENT_WITHIN_S
    refused = shakeout(fleet, "submit", str(fleet.folder / "halted.yaml"))
    assert refused.returncode == 2
    assert "halted by" in refused.stderr
    assert "shakeout resume" in refused.stderr
    quiet = len(campaign.log())
    resumed = shakeout(fleet, "resume")
    assert resumed.returncode == 0, resumed.stderr
    fleet.ensure(workers=4)
    report = campaign.report()
    counts = campaign.agrees(report)
    campaign.states_gaps(report)
    assert report["exit_code"] == 5
    assert counts["unknown"] == 0
    assert len(campaign.log()) == quiet, "what was stopped stays stopped"
    (fault,) = report["faults"]
    assert fault["reverted"]
    assert not fault["residue"]
    after_all = fleet.submit("after-halt", duration="1s")
    assert after_all.report()["verdict"] == "pass"


def test_the_red_button_works_while_an_engine_hangs_and_another_hands_over(fleet, until, button) -> None:
    fleet.ensure()
    campaign = fleet.submit("halt-odd", shards=2, duration="60s", fence="30s")
    until(lambda: len(campaign.log()) > 50)
    campaign.engine("halt-odd:0:1").suspend()
    drained = fleet.workers[campaign.state().last_attempt("halt-odd", 1).worker]
    drained.signal(signal.SIGTERM)
    pressed = button()
    report = campaign.report()
    assert report["exit_code"] == 5
    assert max(after(campaign, pressed), default=0.0) < SILENT_WITHIN_S
    assert campaign.agrees(report)["unknown"] <= 1
    campaign.states_gaps(report)
    until(lambda: not drained.alive())


def test_the_red_button_ends_what_has_not_begun(fleet, until, button) -> None:
    fleet.ensure()
    fleet.aim.signal(signal.SIGSTOP)
    campaign = fleet.submit("halt-early", shards=1, fence="30s")
    until(lambda: (one := campaign.state().last_attempt("halt-early", 0)) and one.status == "waiting")
    button()
    report = campaign.report()
    fleet.aim.signal(signal.SIGCONT)
    assert report["exit_code"] == 5
    assert "halted by" in report["reasons"][0]
    assert campaign.facts(f.PhaseStarted) == []
    assert campaign.log() == []
