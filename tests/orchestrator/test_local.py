"""The embedded fleet's own bookkeeping: what dies is started again, and given up when that does not help."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.local import MOST_RESTARTS, Fleet, Part, start_fleet, unwritable


@pytest.fixture
def fleet(tmp_path: Path):
    """A fleet of no parts; whatever a test adds is ended."""
    work = tmp_path / "out" / "work"
    work.mkdir(parents=True)
    one = Fleet(work=work)
    yield one
    one.kill()


def part(fleet: Fleet, name: str, code: str) -> Part:
    """A part that runs a line of Python and prints to its log."""

    def start() -> "subprocess.Popen[bytes]":
        with (fleet.work / f"{name}.log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-S", "-c", code], stdout=log)

    one = Part(name, start, start())
    fleet.parts.append(one)
    return one


def test_a_part_that_dies_is_started_again_and_given_up_in_the_end_with_its_last_words(fleet: Fleet) -> None:
    broken = part(fleet, "broken", "print('no such thing'); raise SystemExit(3)")
    for _ in range(MOST_RESTARTS):
        broken.process.wait(10)
        assert not fleet.hopeless()
        assert fleet.tend() == ["broken died (exit code 3) and was started again"]
    broken.process.wait(10)
    assert not fleet.tend()
    assert f"broken died {MOST_RESTARTS + 1} times" in fleet.hopeless()
    assert "no such thing" in fleet.hopeless()


def test_a_demo_target_that_dies_stays_dead(fleet: Fleet) -> None:
    part(fleet, "demo target chat", "").process.wait(10)
    assert not fleet.tend()
    assert not fleet.hopeless()


def test_a_fleet_that_was_stopped_left_no_process_and_no_folder(fleet: Fleet) -> None:
    parts = [part(fleet, name, "import time; time.sleep(60)") for name in ("one", "two")]
    fleet.stop()
    assert all(one.process.poll() is not None for one in parts)
    assert not fleet.work.exists()


def test_a_place_that_cannot_be_written_says_why_and_one_that_can_is_left_as_it_was(tmp_path: Path) -> None:
    assert unwritable(tmp_path / "nowhere") == "No such file or directory"
    assert unwritable(tmp_path) == ""
    assert not list(tmp_path.iterdir())


def test_a_fleet_whose_folder_is_gone_is_hopeless(fleet: Fleet) -> None:
    fleet.work.rmdir()
    assert "nothing can be written" in fleet.hopeless()


CAMPAIGN = """\
campaign: c
targets:
  chat: {protocol: openai-chat, model: demo, demo: {}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {process: constant, rate: 20/s}
        duration: 1s
        data: {synthetic: {input_tokens: 2, output_tokens: 2}}
"""


def engines_of(worker: psutil.Process) -> list[psutil.Process]:
    """Its engines, waited for."""
    until_s = time.monotonic() + 30
    while True:
        found = [one for one in worker.children() if "workers.engine" in one.cmdline()]
        if found:
            return found
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_a_run_has_a_key_of_its_own_and_passes_on_no_key_of_a_fleet_that_the_user_has(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("SHAKEOUT_SIGNING_KEY", "me=inherited-secret")
    monkeypatch.setenv("SHAKEOUT_SUBMITTER_KEYS", "you=inherited-secret")
    monkeypatch.setenv("SHAKEOUT_BROKER", "redis://:inherited-secret@redis.internal")
    campaign = load_campaign_text(CAMPAIGN, base=None).campaign
    fleet = start_fleet(campaign, folder=tmp_path, workers=1, slots=1, allow=(), seed=1)
    try:
        (key,) = fleet.keys.keys
        parts = {one.name: psutil.Process(one.process.pid) for one in fleet.parts}
        holders = {name for name, one in parts.items() if key.secret in str(one.environ())}
        assert holders == {"coordinator", "worker local-1"}
        engines = engines_of(parts["worker local-1"])
        for process in (*parts.values(), *engines):
            assert "inherited-secret" not in str(process.environ())
            assert key.secret not in str(process.cmdline())
        assert not any(key.secret in str(engine.environ()) for engine in engines)
        for log in fleet.work.glob("*.log"):
            assert key.secret not in log.read_text()
            assert "nothing is signed" not in log.read_text()
    finally:
        fleet.stop()
    assert Fleet(work=tmp_path).keys != fleet.keys
