"""`watch` of campaigns that have ended, are unknown, or too many; running ones: tests/orchestrator/fleet."""

import json

import pytest

from workers.contract.broker import names


def test_watch_without_an_id_needs_exactly_one_that_runs(at_fleet, redis_client):
    done = at_fleet("watch")
    assert done.exit_code == 2
    assert "no campaign runs" in done.stderr
    redis_client.zadd(names.CAMPAIGNS, {"a-1": 1, "b-2": 2})
    done = at_fleet("watch")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "2 campaigns run: say which\n  shakeout watch a-1\n  shakeout watch b-2" in done.stderr


def test_an_unknown_id_is_told_with_the_nearest(at_fleet, ended):
    ended("prelaunch-20260101-120000-abcd")
    for command in ("watch", "report"):
        done = at_fleet(command, "prelaunch-20260101-120000-abce")
        assert done.exit_code == 2
        assert "did you mean prelaunch-20260101-120000-abcd?" in done.stderr


@pytest.mark.parametrize(
    ("verdict", "flags", "code"),
    [
        ("pass", (), 0), ("fail", (), 1), ("inconclusive", (), 3), ("invalid", (), 4), ("aborted", (), 5),
        ("refused", (), 2), ("inconclusive", ("--inconclusive", "pass"), 0),
        ("inconclusive", ("--inconclusive", "fail"), 1), ("invalid", ("--inconclusive", "pass"), 4),
    ],
)  # fmt: skip
def test_watch_of_an_ended_campaign_tells_its_verdict_at_once(at_fleet, ended, verdict, flags, code):
    ended("c-1", verdict=verdict, report_json=b"{}")
    done = at_fleet("watch", "c-1", *flags)
    assert done.exit_code == code, done.output
    assert f"verdict: {verdict}\n  because\n" in done.stdout
    assert "shakeout report c-1" in done.stdout
    assert (f"exit code {code}, by --inconclusive" in done.stderr) == (code != 4 and bool(flags))
    told = json.loads(at_fleet("watch", "c-1", "--json").stdout)
    assert (told["campaign"], told["verdict"], told["report"]) == ("c-1", verdict, None)


def test_a_pass_whose_report_could_not_be_written_is_no_pass(at_fleet, ended):
    ended("c-1", error_txt=b"the disk is full")
    done = at_fleet("watch", "c-1")
    assert done.exit_code == 70
    assert "it has no report: the disk is full" in done.stdout


def test_watch_of_one_that_ended_days_ago_says_so_and_does_not_wait(at_fleet, redis_client):
    redis_client.zadd(names.FINISHED, {"c-1": 1})
    done = at_fleet("watch", "c-1")
    assert done.exit_code == 2
    assert "c-1 ended more than 24 h ago" in done.stderr
