"""`report`: from a folder, or fetched from the fleet; its exit code is the verdict's."""

import json
import shutil
from pathlib import Path

import pytest

from workers.contract.broker import names

REPORTS = Path(__file__).parents[1] / "report" / "golden"


def test_report_fetches_once_and_then_reads_the_folder(at_fleet, ended, redis_client, tmp_path):
    body = (REPORTS / "failed.json").read_bytes()
    ended("c-1", verdict="fail", report_json=body, report_html=b"<html>")
    whole = json.loads(body)
    done = at_fleet("report", "c-1", "--json")
    assert done.exit_code == whole["exit_code"]
    told = json.loads(done.stdout)
    assert told["report"] == str(tmp_path / "runs" / "c-1" / "report.json")
    assert [one["slo"] for one in told["slos"]] == [one["slo"] for one in whole["slos"]]
    redis_client.flushall()
    for place in ("c-1", "runs/c-1", "runs/c-1/report.json"):
        done = at_fleet("report", place, broker="")
        assert done.exit_code == whole["exit_code"]
        assert f"verdict: {whole['verdict']}" in done.stdout
        for slo in whole["slos"]:
            assert slo["slo"] in done.stdout


def test_report_with_out_fetches_there_and_never_over_another(at_fleet, ended, tmp_path):
    ended("c-1", report_json=(REPORTS / "passed.json").read_bytes())
    done = at_fleet("report", "c-1", "--out", "here")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "here" / "report.json").exists()
    done = at_fleet("report", "c-1", "--out", "here")
    assert done.exit_code == 2
    assert "already holds a report" in done.stderr
    done = at_fleet("report", "here", "--out", "there")
    assert done.exit_code == 2
    assert "--out goes with a campaign's id" in done.stderr


def test_report_of_what_still_runs_or_was_forgotten_says_which(at_fleet, redis_client):
    redis_client.zadd(names.CAMPAIGNS, {"running-1": 1})
    redis_client.zadd(names.FINISHED, {"old-1": 1})
    for id_, words in (
        ("running-1", "still runs: `shakeout watch running-1`"),
        ("old-1", "Redis keeps results for 24 h, and old-1 ended before"),
    ):
        done = at_fleet("report", id_)
        assert (done.exit_code, done.stdout) == (2, "")
        assert words in done.stderr


@pytest.mark.parametrize(
    ("verdict", "code"), [("pass", 70), ("internal", 70), ("refused", 2), ("aborted", 5), ("fail", 1)]
)
def test_report_of_a_campaign_that_left_none_exits_as_watch_does(at_fleet, ended, verdict, code):
    ended("c-1", verdict=verdict, error_txt=b"TypeError: no")
    done = at_fleet("report", "c-1")
    assert (done.exit_code, done.stdout) == (code, "")
    assert "c-1 has no report: TypeError: no" in done.stderr
    assert at_fleet("watch", "c-1").exit_code == code


def test_report_of_a_broken_or_foreign_folder_says_what_is_wrong(at_fleet, tmp_path):
    done = at_fleet("report", "./nowhere")
    assert done.exit_code == 2
    assert "no such file or folder" in done.stderr
    (tmp_path / "empty").mkdir()
    done = at_fleet("report", "empty")
    assert done.exit_code == 2
    assert "no report.json" in done.stderr
    (tmp_path / "empty" / "report.json").write_text('{"schema": 9}')
    done = at_fleet("report", "empty")
    assert done.exit_code == 2
    assert "schema 9" in done.stderr


def test_a_report_that_was_inconclusive_or_aborted_exits_accordingly(at_fleet, tmp_path):
    whole = json.loads((REPORTS / "passed.json").read_text())
    shutil.copytree(REPORTS, tmp_path / "r")
    for given, flags, code in (
        ({"verdict": "inconclusive", "exit_code": 3}, (), 3),
        ({"verdict": "inconclusive", "exit_code": 3}, ("--inconclusive", "fail"), 1),
        ({"verdict": "pass", "exit_code": 5}, (), 5),
    ):
        (tmp_path / "r" / "report.json").write_text(json.dumps(whole | given))
        assert at_fleet("report", "r", *flags).exit_code == code
