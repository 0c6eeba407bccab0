"""The embedded fleet's own bookkeeping: what dies is started again, and given up when that does not help."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.local_processes import MOST_RESTARTS, Fleet, Part, unwritable


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
