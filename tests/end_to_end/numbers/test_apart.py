"""Requests by segment, stage, endpoint and outcome; a calibration of this host, from file to report."""

import platform
from collections import Counter
from importlib import metadata
from typing import Any

import pytest

from workers.contract.calibration import Calibration, keep
from workers.host import cpu_model

RATE, LENGTH_S = 40, 4
ROWS = [
    {"do": "reply", "ms": 5 + 40 * (i % 2), "text": "1", "status": 503 if i % 10 == 0 else 200,
     "lang": ("de", "en")[i % 2], "user": f"u{i}"}
    for i in range(RATE * LENGTH_S)
]  # fmt: skip


@pytest.fixture(scope="module")
def apart(server, campaign, one_load, tmp_path_factory) -> Any:
    servers = {"js": server()}
    known = tmp_path_factory.mktemp("known") / "calibration.json"
    keep(
        Calibration(
            requests_per_s=15.5, streams=3, requests_limited_by="", streams_limited_by="", at="2026-11-22",
            version=metadata.version("shakeout"), cpu=cpu_model(), python=platform.python_version(), cores=1,
        ),
        known,
    )  # fmt: skip
    text = f"""
campaign: apart
seed: 3
targets:
  js: {{protocol: json-http, path: /score, url: "{servers["js"].url}", timeout: 10s}}
phases:
  - name: a
    activities:
"""
    high = f"{{name: high, rate: {RATE}/s, for: {LENGTH_S - 1}s}}"
    stages = f"stages: [{{name: low, rate: {RATE}/s, for: 1s}}, {high}]"
    data = "{file: load.jsonl, tags: [lang, user]}"
    text += one_load("load", f"process: constant, {stages}", data=data, shards=2)
    ended = campaign(text, "--workers", "2", files={"load": ROWS}, env={"SHAKEOUT_CALIBRATION": str(known)})
    return ended, servers


def test_segments_hold_what_the_servers_log_holds_of_each_value(apart):
    ended, servers = apart
    told = Counter(ROWS[line["index"]]["lang"] for line in servers["js"].requests("load"))
    tables = ended.activity("load")["tables"]
    assert {name: one["sent"] for name, one in tables["segments"].items()} == {
        f"lang={name}": count for name, count in told.items()
    }
    assert tables["segments"]["lang=de"]["success"] == pytest.approx(0.8)
    assert tables["segments"]["lang=en"]["success"] == 1.0
    # the server takes 40 ms more for these
    assert tables["segments"]["lang=en"]["latency_s"]["p50"] > 0.04
    assert any("not shown by user" in one for one in ended.activity("load")["warnings"])


def test_stages_and_outcomes_add_up_to_the_whole(apart):
    said = apart[0].activity("load")
    stages, outcomes = said["tables"]["stages"], said["tables"]["outcomes"]
    assert [(name, one["sent"], one["rate_per_s"]) for name, one in stages.items()] == [
        ("low", RATE, RATE),
        ("high", RATE * (LENGTH_S - 1), RATE),
    ]
    assert {name: (one["count"], one["share"]) for name, one in outcomes.items()} == {
        "ok": (144, 0.9),
        "http_503": (16, 0.1),
    }
    assert outcomes["http_503"]["latency_s"]["count"] == said["latency_failed_s"]["count"] == 16


def test_a_target_is_one_endpoint_with_all_that_was_asked_of_it(apart):
    (one,) = apart[0].report["endpoints"]
    assert one["url"] == f"{apart[1]['js'].url}/score"
    assert (one["sent"], one["ok"], one["success"]) == (160, 144, 0.9)


def test_the_report_says_up_to_which_peak_these_engines_are_good(apart):
    generator = apart[0].activity("load")["generator"]
    # two shards, each of at most 15.5/s by the calibration: told in two digits
    assert (generator["good_to"], generator["peak"], generator["unit"]) == (31.0, RATE, "/s")
    assert any(
        "the peak of 40/s is beyond the about 31/s" in one for one in apart[0].activity("load")["warnings"]
    )
    assert {one["calibration"]["requests_per_s"] for one in apart[0].report["fleet"]} == {15.5}
    page = (apart[0].folder / "report.html").read_text()
    assert "good to about 31/s here, as calibrated; the peak was 40/s" in page
    for title in ("By stage", "By segment", "By outcome"):
        assert title in page


def test_counts_add_up_and_agree_with_the_servers_log(apart, agrees_with_logs):
    agrees_with_logs(*apart)
