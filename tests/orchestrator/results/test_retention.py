"""Old runs are removed where that is asked for: ours, old ones, and by a clock that is believed alone."""

import json
import time
from pathlib import Path

import pytest

from orchestrator.results.results import Results
from orchestrator.results.retention import LOOKED, MOST_JUMP_S, Pruned, clock_doubt, prune, said_of

DAY_S = 24 * 3600.0
NOW_S = 1_790_000_000.0


def run(folder: Path, days: float, name: str = "night", *, ended_days: float | None = None) -> str:
    """A run that was submitted so many days before NOW_S, and ended an hour later."""
    began_s = NOW_S - days * DAY_S
    id_ = f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(began_s))}-ab12"
    ended_s = NOW_S - ended_days * DAY_S if ended_days is not None else began_s + 3600
    ended = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(ended_s))
    place = folder / id_
    (place / "samples").mkdir(parents=True)
    (place / "samples" / "night-0-1-001.parquet").write_bytes(b"rows")
    (place / "report.html").write_text("page")
    report = {"schema": 1, "campaign": {"id": id_, "name": name, "ended": ended}, "verdict": "pass"}
    (place / "report.json").write_text(json.dumps(report))
    return id_


def pruned(folder: Path, *, keep_days: float = 90, now_s: float = NOW_S, **given) -> Pruned:
    return prune(
        Results(str(folder)), keep_s=keep_days * DAY_S, now_s=now_s, own_s=given.pop("own_s", now_s), **given
    )


@pytest.fixture
def runs(tmp_path):
    """An old run, one that is old enough to stay, and a new one."""
    return tmp_path, run(tmp_path, 100), run(tmp_path, 80), run(tmp_path, 1)


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()} - {LOOKED}


def test_runs_that_ended_longer_ago_are_removed_whole_and_no_other(runs):
    folder, old, younger, new = runs
    found = pruned(folder)
    assert (found.removed, found.left, found.refused) == ((old,), {}, "")
    assert names(folder) == {younger, new}
    assert (folder / new / "samples" / "night-0-1-001.parquet").exists()
    assert said_of(found) == f"1 run that ended more than 90 d before: {old}"


def test_a_dry_run_names_the_same_and_removes_nothing(runs):
    folder, old, *_ = runs
    assert pruned(folder, dry=True).removed == (old,)
    assert (folder / old / "report.json").exists()
    assert not (folder / LOOKED).exists()


def test_a_run_that_took_long_counts_from_its_end(tmp_path):
    run(tmp_path, 1)
    long = run(tmp_path, 100, "long", ended_days=50)
    assert pruned(tmp_path).removed == ()
    assert (tmp_path / long).exists()


def test_live_campaigns_are_left_alone_whatever_stands_in_their_folders(runs):
    folder, old, *_ = runs
    assert pruned(folder, live=frozenset({old})).removed == ()


def test_what_shakeout_did_not_write_is_never_touched(runs, tmp_path_factory):
    folder, old, *_ = runs
    (folder / "photos").mkdir()
    (folder / "notes.txt").write_text("mine")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    away = run(elsewhere, 300, "linked")
    (folder / away).symlink_to(elsewhere / away)
    other = run(folder, 200, "other")  # the report of another campaign
    (folder / other / "report.json").write_text((folder / old / "report.json").read_text())
    unfinished = run(folder, 210, "unfinished")
    (folder / unfinished / "report.json").unlink()
    broken = run(folder, 220, "broken")
    (folder / broken / "report.json").write_text("{")
    kept = run(folder, 230, "kept")
    (folder / kept / "my-analysis.ipynb").write_text("{}")
    before = names(folder)
    found = pruned(folder)
    assert found.removed == (old,)
    assert found.left == {kept: "my-analysis.ipynb in it is not Shakeout's"}
    assert names(folder) == before - {old}
    assert (elsewhere / away / "report.json").exists()


def test_a_link_inside_a_run_leads_nobody_to_remove_what_it_points_to(runs, tmp_path_factory):
    folder, old, *_ = runs
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").write_text("mine")
    (folder / old / "parts").symlink_to(elsewhere)
    try:
        pruned(folder)
    except OSError:
        assert (folder / old / "report.json").exists(), "it is tried again"
    assert (elsewhere / "precious").exists()


def test_a_leader_that_lost_the_lead_stops(runs):
    folder, old, *_ = runs
    assert pruned(folder, go_on=lambda: False).removed == ()
    assert (folder / old).exists()


def test_a_clock_years_ahead_removes_nothing_until_a_person_is_sure(runs):
    folder, *ids = runs
    ahead_s = NOW_S + 3 * 365 * DAY_S
    found = pruned(folder, now_s=ahead_s)
    assert found.removed == ()
    assert "shakeout prune --sure" in found.refused
    assert names(folder) == set(ids)
    assert set(pruned(folder, now_s=ahead_s, sure=True).removed) == set(ids)
    # from then on that clock is believed
    assert pruned(folder, now_s=ahead_s + DAY_S).refused == ""


def test_clocks_that_disagree_remove_nothing(runs):
    folder, *_ = runs
    assert "apart: set them right" in pruned(folder, own_s=NOW_S - 2 * 3600).refused


@pytest.mark.parametrize(
    ("looked_s", "newest_s", "believed"),
    [
        (0.0, 0.0, True),
        (NOW_S - 3600, 0.0, True),
        (NOW_S - MOST_JUMP_S - 1, 0.0, False),
        (NOW_S - MOST_JUMP_S - 1, NOW_S - DAY_S, True),
        (0.0, NOW_S + DAY_S, False),
    ],
)
def test_a_clock_is_believed_as_long_as_it_goes_on_from_what_was_seen(looked_s, newest_s, believed):
    doubt = clock_doubt(now_s=NOW_S, own_s=NOW_S, looked_s=looked_s, newest_s=newest_s)
    assert (not doubt) == believed
