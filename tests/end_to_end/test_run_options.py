"""What a pipeline adds to `shakeout run`: labels, a longest time, what an inconclusive end counts as."""

import json

OPEN = ["--workers", "1"]


def test_an_inconclusive_run_exits_as_told_and_keeps_its_verdict_and_labels(run, target, load) -> None:
    text = load(target().url, shards=1, rate="20/s", duration="2s", process="constant")
    text = text.replace("success_rate >= 90%", "success_rate >= 99.99%")
    one = run(text, *OPEN, "--label", "team=search", "--inconclusive", "pass")
    assert one.wait() == 0, one.output
    assert "verdict: inconclusive" in one.output
    assert "exit code 0, by --inconclusive pass" in one.output
    report = one.report()
    assert (report["verdict"], report["exit_code"]) == ("inconclusive", 3)
    assert report["campaign"]["labels"] == {"team": "search"}


def test_a_run_that_takes_longer_than_it_may_is_stopped_and_invalid(run, target, load) -> None:
    one = run(load(target().url, shards=1, duration="60s"), *OPEN, "--max-time", "4s", "--json")
    assert one.wait() == 4, one.output
    told = json.loads(one.output)
    assert told["verdict"] == "invalid"
    assert "--max-time 4s" in told["reasons"][0]
