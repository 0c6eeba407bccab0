import json

import pytest

from workers.watching.contract import UnreadError
from workers.watching.prometheus import (
    Alert,
    KnownRule,
    by_name,
    fired_s,
    moment,
    read_alerts,
    read_rules,
    state_of,
)


def rules(*groups):
    return json.dumps({"status": "success", "data": {"groups": list(groups)}}).encode()


def group(interval, **durations):
    found = [
        {
            "name": name,
            "duration": for_s,
            "lastEvaluation": "2026-11-22T16:37:58.6339463Z",
            "type": "alerting",
        }
        for name, for_s in durations.items()
    ]
    return {"name": "g", "interval": interval, "rules": found}


def test_a_rule_without_for_fires_when_its_condition_is_seen():
    assert fired_s(100.0, KnownRule(for_s=0.0, every_s=15.0, evaluated_s=0.0)) == 100.0


@pytest.mark.parametrize(
    ("for_s", "every_s", "after_s"), [(60, 15, 60), (20, 15, 30), (0.5, 15, 15), (5, 0, 5)]
)
def test_a_rule_with_for_fires_at_the_first_evaluation_that_is_so_much_later(for_s, every_s, after_s):
    assert fired_s(100.0, KnownRule(for_s, every_s, 0.0)) == pytest.approx(100.0 + after_s)


def test_an_alert_of_several_series_stands_as_the_most_urgent_of_them():
    assert state_of([Alert(state="pending"), Alert(state="firing")]) == "firing"
    assert state_of([Alert(state="pending")]) == "pending"
    assert state_of([]) == "inactive"


def test_times_are_read_to_the_microsecond_and_the_year_one_is_none():
    assert moment("2026-11-22T16:37:57.632510205Z") == pytest.approx(1795365477.63251, abs=1e-5)
    assert moment("2026-11-22T17:37:57+01:00") == moment("2026-11-22T16:37:57Z")
    assert moment("0001-01-01T00:00:00Z") == 0.0
    assert moment("yesterday") == 0.0


def test_of_two_rules_of_one_name_the_one_that_waits_longest_is_known():
    found = read_rules(rules(group(1, Up=2, Other=9), group(15, Up=60)), ["Up", "Gone"], "here")
    assert set(found) == {"Up"}
    assert (found["Up"].for_s, found["Up"].every_s) == (60, 15)


def test_only_the_alerts_that_are_asked_for_are_kept():
    body = {"status": "success", "data": {"alerts": [{"labels": {"alertname": "Up"}, "state": "firing"}]}}
    alerts = read_alerts(json.dumps(body).encode(), "here")
    assert {name: len(series) for name, series in by_name(alerts, ["Up", "Down"]).items()} == {
        "Up": 1,
        "Down": 0,
    }


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"data": 3}', b"\xff"])
def test_whatever_else_answers_there_is_named(body):
    with pytest.raises(UnreadError, match="here does not answer as Prometheus does"):
        read_alerts(body, "here")
