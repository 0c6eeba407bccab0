"""A fleet's processes do not start without keys where others reach their broker, and say what to do."""

import os
import subprocess
import sys
import threading

import pytest

from orchestrator.cli import processes

ELSEWHERE = "redis://:hush@redis.invalid:6379/0"


def started(*argv: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SHAKEOUT_")}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**clean, "SHAKEOUT_BROKER": ELSEWHERE, **environment},
    )


@pytest.mark.parametrize("argv", [("coordinator",), ("worker", "--name", "w1")])
def test_without_a_key_nothing_starts_on_a_broker_that_others_reach(argv) -> None:
    done = started(*argv)
    assert done.returncode == 2
    assert "SHAKEOUT_SIGNING_KEY is not set, and the broker redis://redis.invalid:6379/0" in done.stderr
    assert "secrets.token_hex(32)" in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize("argv", [("coordinator",), ("worker", "--name", "w1")])
@pytest.mark.parametrize("variable", ["SHAKEOUT_SIGNING_KEY", "SHAKEOUT_SUBMITTER_KEYS"])
def test_a_key_that_cannot_be_read_is_told_by_its_variable_and_never_shown(argv, variable) -> None:
    done = started(*argv, **{"SHAKEOUT_SIGNING_KEY": "ops=fine", variable: "ops=fine,ab\tcd"})
    assert done.returncode == 2
    assert f"{variable}: signing key 2 holds characters that cannot be printed" in done.stderr
    assert "cd" not in done.stderr.split("signing key 2")[1]


def test_a_signal_that_comes_inside_the_event_it_sets_does_not_wait_for_itself() -> None:
    stop = threading.Event()
    on_signal = processes._once(stop)
    with stop._cond:  # where a signal finds a thread that waits, or that sets for the signal before
        told = threading.Thread(target=lambda: [on_signal(15, None) for _ in range(3)], daemon=True)
        told.start()
        told.join(10)
        assert not told.is_alive()
    assert stop.wait(10)
