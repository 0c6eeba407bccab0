"""What a person is shown of a campaign that waits for people: where it stands, and a command that works."""

import io

import pytest
from rich.console import Console

from orchestrator.cli.watching import Screen, picture
from orchestrator.live.view import LiveView

GATE = "phase faults waits for the approval of boss until 10:15:00 UTC: `shakeout approve c-1 faults`"


@pytest.fixture
def at_gate():
    return LiveView(
        campaign="c-1", at_s=0.0, phase="", phase_number=2, phases=2, elapsed_s=0.0, activities=(),
        verdicts={"calm": "pass"}, waits=(GATE,),
    )  # fmt: skip


def lines(view, *, width=90):
    console = Console(width=width, file=io.StringIO())
    console.print(picture(view))
    return console.file.getvalue().splitlines()


def test_between_phases_the_picture_says_that_a_gate_is_shut_and_not_that_all_ends(at_gate):
    shown = lines(at_gate)
    assert "at the next one's gate" in shown[0]
    assert not any("activity" in line for line in shown), "a table without rows is left out"


def test_the_command_that_opens_a_gate_stands_whole_on_a_line_of_its_own(at_gate):
    assert "  shakeout approve c-1 faults" in [line.rstrip() for line in lines(at_gate)]


def test_a_run_names_its_gate_by_its_folder_since_no_fleet_knows_its_id(capsys):
    Screen(json_=False, called=("c-1", "/somewhere/c-1")).wait_for((GATE,))
    assert "`shakeout approve /somewhere/c-1 faults`" in capsys.readouterr().out
    Screen(json_=False).wait_for((GATE,))
    assert "`shakeout approve c-1 faults`" in capsys.readouterr().out
