import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import pandas as pd
import pytest

from orchestrator.judging.judging import PhaseResult
from orchestrator.report.build import build_report, validate_report
from orchestrator.report.html import render_html
from orchestrator.report.intervals import intervals_parquet
from orchestrator.report.junit import render_junit
from orchestrator.report.markdown import render_markdown
from orchestrator.verdict import campaign_verdict, phase_verdict

EVIL = "<script>alert(1)</script><img src=x onerror=\"document.title='owned'\"></script>'\"&{{7*7}}"
LOADS_WITHIN_S = 60


class Page(HTMLParser):
    """Every tag with its attributes, and the text of the page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(report, passed):
    return render_html(report, passed)


@pytest.fixture(scope="module")
def evil_page(outcome_of):
    outcome = outcome_of(bad_cases=1, error_text=EVIL, fault_why=EVIL)
    report = build_report(outcome)
    report["campaign"]["description"] = report["campaign"]["id"] = EVIL
    report["reasons"] = [EVIL]
    return render_html(report, outcome)


def test_sections_come_verdict_first_and_how_to_run_it_again_last(page):
    ids = [attrs["id"] for tag, attrs in Page(page).tags if tag == "section" and "id" in attrs]
    assert ids == [
        "verdict", "objectives", "phases", "requests", "faults", "resilience", "regression", "fleet",
        "timeline",
        "definitions", "reproduce",
    ]  # fmt: skip


def test_nothing_is_fetched_from_anywhere(page):
    allowed = {"meta", "html", "body", "script", "style"}
    for tag, attrs in Page(page).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "href", "srcset", "action"} & set(attrs), (tag, attrs)
        assert tag not in allowed or not any(name.startswith("on") for name in attrs)
    assert "url(" not in page
    assert "@import" not in page


def test_only_our_own_script_may_run_by_its_hash(page):
    (policy,) = [a["content"] for t, a in Page(page).tags if t == "meta" and "http-equiv" in a]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_text_of_a_target_is_shown_as_text(evil_page):
    parsed = Page(evil_page)
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in parsed.tags]
    assert not any(name.startswith("on") for _, attrs in parsed.tags for name in attrs)
    assert parsed.text.count("alert(1)") >= 4
    assert "{{7*7}}" in parsed.text


def test_the_values_of_a_chart_are_json_in_an_attribute(page):
    charts = [json.loads(attrs["data-chart"]) for _, attrs in Page(page).tags if "data-chart" in attrs]
    assert len(charts) == 1 + 6 + 5 + 2
    for chart in charts:
        assert all(0 <= at <= 1 for at in chart["at"])
        assert all(len(one["y"]) == len(chart["at"]) for one in chart["series"])


def test_faults_are_shaded_and_gaps_are_marked(failed):
    text = render_html(build_report(failed), failed)
    assert '<div class="band gap"' in text
    assert text.count('<div class="band fault"') >= 5
    assert "attempt 1 on worker borea, is lost" in html.unescape(text)


def test_each_attempt_links_to_its_page_in_flower_where_the_fleet_has_one(passed, page):
    outcome = replace(passed, flower="https://shakeout.example/flower")
    report = build_report(outcome)
    validate_report(report)
    shown = render_html(report, outcome)
    for said in report["activities"].values():
        for one in said["attempts"]:
            place = f"{outcome.id}/{one['attempt']}".replace("/", "%2F").replace(":", "%3A")
            assert f'href="https://shakeout.example/flower/task/{place}"' in shown
    assert "flower" not in page.lower()


def test_a_target_that_answers_nothing_still_gives_a_page(outcome_of):
    outcome = outcome_of(all_fail=True)
    report = build_report(outcome)
    assert report["verdict"] == "fail"
    assert "latency_s" not in report["activities"]["peak-load"]
    text = render_html(report, outcome)
    assert "NaN" not in text
    assert "reset" in Page(text).text


def test_a_campaign_stopped_before_its_first_phase_gives_every_file(passed):
    phases = tuple(
        PhaseResult(one.phase, phase_verdict(one.phase, (), invalid_reasons=("no worker has label x",)))
        for one in passed.phases
    )
    state = replace(passed.state, phases={}, attempts={}, shards={}, faults={})
    verdict = campaign_verdict([one.verdict for one in phases])
    outcome = replace(
        passed, phases=phases, state=state, verdict=verdict, journal=passed.journal[:1], fleet=()
    )
    report = build_report(outcome)
    validate_report(report)
    assert "no worker has label x" in Page(render_html(report, outcome)).text
    assert 'errors="4"' in render_junit(report)
    assert "INVALID" in render_markdown(report)
    assert len(pd.read_parquet(BytesIO(intervals_parquet(outcome)))) == 0


def test_a_page_is_light(page):
    assert len(page) < 400_000


def _chromium(folder, *flags):
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("chromium is not installed here (apt-get install chromium)")
    done = subprocess.run(
        [
            binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", *flags,
        ],
        capture_output=True, text=True, timeout=LOADS_WITHIN_S, check=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, said


@pytest.mark.chromium
def test_chromium_draws_the_charts_and_complains_of_nothing(page, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    dom, said = _chromium(tmp_path, "--dump-dom", file.as_uri())
    assert said == []
    assert 'data-ready="yes"' in dom
    assert dom.count('<div class="rule"></div>') == page.count('class="plot"')
    assert all(len(path) > 100 for path in re.findall(r'class="line t1" d="([^"]*)"', dom))


@pytest.mark.chromium
def test_in_chromium_a_targets_markup_does_not_run(evil_page, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(evil_page, encoding="utf-8")
    dom, said = _chromium(tmp_path, "--dump-dom", file.as_uri())
    assert said == []
    assert "<title>checkout-launch: " in dom
    assert "<img" not in dom


@pytest.mark.chromium
def test_chromium_would_have_told_of_a_script_that_the_policy_stops(page, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(
        page.replace("</main>", "</main><script>document.title='owned'</script>"), encoding="utf-8"
    )
    dom, said = _chromium(tmp_path, "--dump-dom", file.as_uri())
    assert any("Content Security Policy" in line for line in said)
    assert "<title>owned" not in dom
