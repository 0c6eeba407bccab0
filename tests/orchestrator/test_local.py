"""The embedded fleet as `run` starts it: a key of its own, and nothing left where its start is stopped."""

import itertools
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.cli.interrupts import Interrupts
from orchestrator.local import start_fleet
from orchestrator.local_processes import Fleet

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
        found = []
        for one in worker.children():
            with suppress(psutil.Error):  # gone meanwhile
                found += [one] if "workers.engine" in one.cmdline() else []
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


@pytest.mark.parametrize("waits", [0, 1, 40])
def test_a_signal_at_any_moment_of_the_start_ends_all_that_was_started(tmp_path: Path, waits: int) -> None:
    """Also where Python drops what the handler of a signal raises: the waits ask whether there was one."""
    interrupts, asked = Interrupts(starting=False), itertools.count()

    def check() -> None:
        if next(asked) == waits:
            interrupts.count += 1
        interrupts.check()

    campaign = load_campaign_text(CAMPAIGN, base=None).campaign
    before = psutil.Process().children(recursive=True)  # what other tests share
    with pytest.raises(KeyboardInterrupt):
        start_fleet(campaign, folder=tmp_path, workers=1, slots=1, allow=(), seed=1, check=check)
    assert set(psutil.Process().children(recursive=True)) <= set(before)
    assert not (tmp_path / "work").exists()
