"""Breaking the promises on purpose: each of these edits to a copy of the code turns its named test red."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
LIMIT_S = 120.0


def _run(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(TESTS / test)]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def _copy(folder: Path) -> None:
    for package in ("orchestrator", "workers"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize(
    ("module", "right", "wrong", "test"),
    [
        pytest.param(
            "workers/engine/sender.py",
            "if not self.fence.allows_now() or self.book.closed:",
            "if self.book.closed:",
            "workers/engine/test_silence.py::test_what_stands_in_line_when_the_authorisation_ends_is_left_to_a_successor",
            id="the fence is not asked before a send",
        ),
        pytest.param(
            "workers/engine/fence.py",
            "return now_ns < until_ns",
            "return True",
            "workers/engine/test_silence.py::test_a_stopped_engine_that_wakes_past_its_fence_sends_nothing",
            id="the fence is always open",
        ),
        pytest.param(
            "workers/engine/measure.py",
            "return sent_ns - intended_ns - wait_ns - connect_ns",
            "return sent_ns - intended_ns - connect_ns",
            "workers/engine/test_child.py::test_time_in_line_is_the_targets_and_is_not_called_lag",
            id="the time in line is called lag",
        ),
        pytest.param(
            "workers/engine/dispatcher.py",
            "self._offer(Arrival(index, at_ns, intended_ns, now_ns))",
            "self._offer(Arrival(index, at_ns, now_ns, now_ns))",
            "workers/engine/test_child.py::test_a_schedule_that_could_not_be_kept_is_not_moved",
            id="a late arrival is given a new intended time",
        ),
        pytest.param(
            "workers/engine/dispatcher.py",
            "of=of, from_ns=from_ns",
            "of=of, from_ns=0",
            "workers/engine/test_child.py::test_a_resumed_shard_takes_only_arrivals_from_its_time_on",
            id="a successor offers again what its predecessor did",
        ),
        pytest.param(
            "workers/engine/markfile.py",
            "q[arrival.cell + SENT] += 1",
            "pass",
            "workers/engine/test_child.py::test_a_killed_engine_leaves_every_request_accounted_for",
            id="what was sent is not marked",
        ),
        pytest.param(
            "orchestrator/aggregate/totals.py",
            "if snapshot.seq <= seen.seq:",
            "if False:",
            "orchestrator/aggregate/test_totals.py::test_a_repeated_snapshot_is_dropped",
            id="a repeated snapshot counts twice",
        ),
        pytest.param(
            "workers/contract/broker/scripts.py",
            "if held == ARGV[2] then return 1 end",
            "if held then return 1 end",
            "workers/contract/broker/test_scripts.py::test_an_attempt_is_claimed_by_one_incarnation_only",
            id="an attempt is claimed twice",
        ),
        pytest.param(
            "orchestrator/decide/losses.py",
            "fence_s = last_s + plan.fence_s + FENCE_MARGIN_S",
            "fence_s = last_s",
            "sim/test_what_is_caught.py::test_with_it_the_same_seeds_hold[a successor waits for the fence]",
            id="a successor does not wait for the fence",
        ),
    ],
)
def test_a_broken_promise_turns_its_test_red(
    tmp_path: Path, module: str, right: str, wrong: str, test: str
) -> None:
    _copy(tmp_path)
    broken = tmp_path / module
    text = broken.read_text()
    assert text.count(right) == 1
    broken.write_text(text.replace(right, wrong))
    run = _run(tmp_path, test)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "1 failed" in run.stdout


def test_the_unbroken_copy_is_green(tmp_path: Path) -> None:
    _copy(tmp_path)
    run = _run(
        tmp_path,
        "workers/engine/test_silence.py::test_a_stopped_engine_that_wakes_past_its_fence_sends_nothing",
    )
    assert run.returncode == 0, run.stdout + run.stderr
