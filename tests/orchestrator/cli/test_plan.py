import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def shakeout(*words):
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["quickstart", "prelaunch", "gameday"])
def test_every_example_plans(name):
    done = shakeout("plan", str(EXAMPLES / f"{name}.yaml"))
    assert done.returncode == 0, done.stderr
    assert "What can be decided" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_quickstarts_plan_says_what_is_known_beforehand():
    said = shakeout("plan", str(EXAMPLES / "quickstart.yaml"), "--workers", "2").stdout
    for words in (
        "3 phases, 60 s and what takes as long as it takes, about 2,334 requests, seed 7",
        "assumed fleet: 2 workers on this machine",
        "peak-load: about 90 of the requests are warm-up (3 s), not judged",
        "steady: losing a worker leaves a gap of up to 11 s, up to 110 requests",
        "600 requests can carry 99%; 99.9% would take 4,603",
        "the process of the demo target chat",
        "█",
    ):
        assert words in said


def test_a_game_days_plan_says_who_must_agree_and_what_is_watched():
    said = shakeout("plan", str(EXAMPLES / "gameday.yaml"), "--workers", "2").stdout
    for words in (
        "game day: tue, wed, thu 09:30 to 16:00 Europe/Berlin, not on 2026-12-20..2027-01-04",
        "approval of faults by commander (commander@example.com) within 15 min",
        "watched: alerts ChatReplicaDown, FeatureStoreSlow; gauges chat vllm:num_requests_running",
        "(prometheus.internal:9090 and alertmanager.internal:9093)",
        "no GPU is looked for",
    ):
        assert words in said


def test_json_is_the_same_with_types():
    said = json.loads(shakeout("plan", str(EXAMPLES / "quickstart.yaml"), "--json", "--workers", "3").stdout)
    assert (said["campaign"], said["seed"], len(said["fleet"])) == ("quickstart", 7, 3)
    assert said["phases"][2]["activities"][0]["requests"] == 600
    assert said["phases"][2]["activities"][0]["requests_exact"] is True
    assert said["phases"][1]["faults"][0]["at_s"] == 15


def test_set_changes_the_plan():
    file = str(EXAMPLES / "quickstart.yaml")
    path = "phases[2].activities[0].duration=60s"
    said = json.loads(shakeout("plan", file, "--json", "--set", path).stdout)
    assert said["phases"][2]["requests"] == 1200


def test_a_wrong_file_is_refused_with_every_problem(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("campaign: c\nphases: []\n")
    done = shakeout("plan", str(file))
    assert done.returncode == 2
    assert "targets" in done.stderr
    assert "phases" in done.stderr
    assert done.stdout == ""


def test_a_broken_golden_set_is_refused(tmp_path):
    text = (EXAMPLES / "quickstart.yaml").read_text()
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "chat.jsonl").write_text("{not json\n")
    (tmp_path / "c.yaml").write_text(text)
    done = shakeout("plan", str(tmp_path / "c.yaml"))
    assert done.returncode == 2
    assert "chat.jsonl" in done.stderr


def test_a_golden_set_that_cannot_be_fetched_is_refused(tmp_path):
    text = (EXAMPLES / "quickstart.yaml").read_text()
    (tmp_path / "c.yaml").write_text(text.replace("golden/chat.jsonl", f"file://{tmp_path}/none.jsonl"))
    done = shakeout("plan", str(tmp_path / "c.yaml"))
    assert done.returncode == 2, done.stderr
    assert f"file://{tmp_path}/none.jsonl cannot be read" in done.stderr


def test_a_fleet_that_is_assumed_and_one_that_is_there_are_not_both_asked_for():
    file = str(EXAMPLES / "quickstart.yaml")
    done = shakeout("plan", file, "--workers", "2", "--broker", "redis://127.0.0.1:1")
    assert done.returncode == 2
    assert "--workers assumes a fleet and --broker looks at one" in done.stderr


def test_workers_assume_a_fleet_also_where_the_environment_names_one(monkeypatch):
    monkeypatch.setenv("SHAKEOUT_BROKER", "redis://127.0.0.1:1")
    done = shakeout("plan", str(EXAMPLES / "quickstart.yaml"), "--workers", "2")
    assert "assumed fleet: 2 workers on this machine" in done.stdout


def test_a_fleet_that_cannot_be_reached_is_said_and_exits_with_6(monkeypatch):
    monkeypatch.setenv("SHAKEOUT_BROKER", "redis://127.0.0.1:1")
    done = shakeout("plan", str(EXAMPLES / "quickstart.yaml"))
    assert done.returncode == 6
    assert "redis://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fleet_without_workers_or_coordinator_is_planned_on_all_the_same(shared_valkey, redis_client):
    file = str(EXAMPLES / "quickstart.yaml")
    done = shakeout("plan", file, "--broker", shared_valkey.url)
    assert done.returncode == 0, done.stderr
    assert "fleet: no worker is alive" in done.stdout
    assert "peak: peak-load: no worker is alive (needs any worker)" in done.stdout
    assert "targets.chat: demo (on a fleet; say --set targets.chat.url=http://HOST:PORT)" in done.stdout
    assert "warning: no coordinator leads this fleet" in done.stderr
