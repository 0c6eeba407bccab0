"""The way to a run on this machine: for its owner alone, and gone with it."""

import stat

from orchestrator.local_access import ACCESS, Access, leave_access, read_access
from orchestrator.local_processes import Fleet


def test_the_owner_of_a_run_finds_the_way_to_it_by_its_folder_and_nobody_else_may(tmp_path) -> None:
    fleet = Fleet(tmp_path / "work", broker="redis://:secret@127.0.0.1:1/0")
    fleet.work.mkdir()
    leave_access(fleet, "c-1")
    (key,) = fleet.keys.keys
    assert read_access(tmp_path) == Access("c-1", fleet.broker, f"run={key.secret}")
    assert stat.S_IMODE((fleet.work / ACCESS).stat().st_mode) == 0o600


def test_a_folder_of_no_run_or_of_one_that_is_over_leads_nowhere(tmp_path) -> None:
    assert read_access(tmp_path) is None
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ACCESS).write_text("half a li")
    assert read_access(tmp_path) is None
