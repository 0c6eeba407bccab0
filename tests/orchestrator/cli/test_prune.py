import json
import time

import pytest
import typer

from orchestrator.cli.prune import prune

DAY_S = 24 * 3600.0


@pytest.fixture
def old_run(tmp_path):
    """The folder of a run that ended a hundred days ago."""
    began = time.gmtime(time.time() - 100 * DAY_S)
    folder = tmp_path / f"night-{time.strftime('%Y%m%d-%H%M%S', began)}-ab12"
    folder.mkdir()
    ended = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", began)
    (folder / "report.json").write_text(
        json.dumps({"schema": 1, "campaign": {"id": folder.name, "ended": ended}})
    )
    return folder


def test_old_runs_are_named_first_and_removed_when_told(old_run, capsys):
    prune(str(old_run.parent), "90d", sure=True)
    said = capsys.readouterr().out
    assert old_run.name in said
    assert "say --yes" in said
    assert old_run.exists()
    prune(str(old_run.parent), "90d", sure=True, yes=True, json_=True)
    assert json.loads(capsys.readouterr().out)["removed"] == [old_run.name]
    assert not old_run.exists()


def test_a_clock_that_may_have_jumped_needs_somebody_who_is_sure(old_run, capsys):
    with pytest.raises(typer.Exit) as ended:
        prune(str(old_run.parent), "90d", yes=True)
    assert ended.value.exit_code == 1
    assert "shakeout prune --sure --yes" in capsys.readouterr().err
    assert old_run.exists()


def test_where_nothing_is_old_enough_there_is_nothing_to_say_yes_to(tmp_path, capsys):
    prune(str(tmp_path), "90d", sure=True)
    said = capsys.readouterr().out
    assert said.startswith("no run here that may be removed ended before ")
    assert "--yes" not in said


def test_a_folder_that_is_not_there_is_not_taken_for_one_without_old_runs(tmp_path, capsys):
    with pytest.raises(typer.Exit) as ended:
        prune(str(tmp_path / "rnus"), "90d", yes=True)
    assert ended.value.exit_code == 2
    assert "there is no such folder" in capsys.readouterr().err
