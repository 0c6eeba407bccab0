"""Rules held against series by the real promtool; the series' truth is known by hand."""

import shutil

import pytest

from orchestrator.rules.promtool import PromtoolError, Spell, check, look_every_s, replay, spells
from orchestrator.rules.series import Recorded, Series

SHARE = 'sum(rate(shakeout_requests_total{outcome!="ok"}[10s])) / sum(rate(shakeout_requests_total[10s]))'
RULES = """\
groups:
  - name: g
    interval: 5s
    rules:
      - alert: Errors
        expr: SHARE > 0.1
        for: 10s
        labels: {severity: page}
        annotations: {summary: 'a share of {{ $value }}, "quoted" {braced}'}
      - alert: Busy
        expr: 'shakeout_in_flight > 5'
      - alert: Never
        expr: 'shakeout_in_flight > 5000'
"""
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian's package prometheus)"
)


def run_of(seconds=120, *, errors=(40, 80), busy=(50, 60)):
    """10 requests a second; half of them fail between `errors`, 9 are in flight between `busy`."""
    good, bad = {0: 0.0}, {0: 0.0}
    for second in range(1, seconds):
        failing = errors[0] <= second < errors[1]
        good[second] = good[second - 1] + (5 if failing else 10)
        bad[second] = bad[second - 1] + (5 if failing else 0)
    flying = {second: 9.0 if busy[0] <= second < busy[1] else 1.0 for second in range(seconds)}
    labels = (("activity", "peak"),)
    return Recorded(
        1000.0,
        seconds,
        (
            Series("shakeout_requests_total", (*labels, ("outcome", "ok")), good, counter=True),
            Series("shakeout_requests_total", (*labels, ("outcome", "http_503")), bad, counter=True),
            Series("shakeout_in_flight", (*labels, ("odd", 'a "b" {c}')), flying, counter=False),
        ),
    )


@pytest.fixture
def rules(tmp_path):
    """A rule file."""
    path = tmp_path / "rules.yml"
    path.write_text(RULES.replace("SHARE", SHARE))
    return path


@needs_promtool
def test_alerts_fire_when_the_series_say_so_and_no_other_does(rules):
    # the group has an interval of its own
    found = replay(rules, run_of(), scrape_every_s=1.0, evaluate_every_s=60.0)
    assert [one.alert for one in found] == ["Errors", "Busy"]
    errors, busy = found
    assert 40 <= errors.from_s <= 50
    assert errors.fired_s == errors.from_s + 10
    assert 80 <= errors.to_s <= 95
    assert errors.labels == (("severity", "page"),)
    assert (busy.from_s, busy.fired_s, busy.to_s) == (50.0, 50.0, 60.0)
    assert dict(busy.labels)["odd"] == 'a "b" {c}'


@needs_promtool
def test_an_alert_that_lasts_to_the_end_has_no_end(rules):
    found = replay(
        rules, run_of(60, errors=(20, 60), busy=(90, 91)), scrape_every_s=1.0, evaluate_every_s=5.0
    )
    assert [(one.alert, one.to_s) for one in found] == [("Errors", None)]


@needs_promtool
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("groups: [{name: g, rules: [{alert: A, expr: 'sum(('}]}]", "could not parse expression"),
        ("nonsense: true", "nonsense not found"),
        ("groups: {", "yaml"),
    ],
)
def test_a_file_that_is_no_rule_file_is_refused_with_promtool_s_words(tmp_path, text, why):
    path = tmp_path / "rules.yml"
    path.write_text(text)
    with pytest.raises(PromtoolError, match=why):
        check(path)


def test_without_promtool_it_says_what_to_install(rules, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(PromtoolError, match="promtool is not installed here"):
        check(rules)


def test_more_evaluations_than_are_sensible_are_refused(rules):
    with pytest.raises(PromtoolError, match="say a longer interval"):
        replay(rules, run_of(120), scrape_every_s=1.0, evaluate_every_s=0.001)


def test_rules_are_looked_at_as_often_as_the_quickest_group_is_evaluated():
    assert look_every_s("groups: [{name: g, rules: []}]", 15.0) == 15.0
    assert look_every_s("groups:\n- interval: 1m\n- {\"interval\": '1m30s'}\n- interval: 500ms", 15.0) == 0.5
    assert look_every_s("interval: nonsense\nscrape_interval_s: 1s", 15.0) == 15.0


def test_evaluations_in_a_row_are_one_spell_of_each_series():
    looks = [
        (5.0, "A", (), "pending"), (10.0, "A", (), "firing"), (15.0, "A", (), "firing"),
        (10.0, "A", (("x", "1"),), "pending"), (30.0, "A", (), "pending"),
    ]  # fmt: skip
    assert spells(looks, every_s=5.0, until_s=30.0) == (
        Spell("A", (), 5.0, 10.0, 20.0),
        Spell("A", (("x", "1"),), 10.0, None, 15.0),
        Spell("A", (), 30.0, None, None),
    )
