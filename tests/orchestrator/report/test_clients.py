"""Tries and conversations in the report."""

import pytest

from orchestrator.report.build import build_report, validate_report
from orchestrator.report.html import render_html
from workers.contract.snapshot import Cell, RetryCounts, SessionCounts, Snapshot

TRIES = RetryCounts(
    {2: 3, 1: 10, 11: 1},
    {"http_503": 4, "reset": 9},
    {"attempts": 1, "budget": 2},
    written=25,
    opened=2,
    held_back=7,
)
TALK = SessionCounts(begun=10, whole=4, broken={10: 1, 2: 2}, over=2, offered=30, waiting=1)


@pytest.fixture
def told(outcome_of):
    """An ended campaign whose peak-load had such clients."""

    def make(*, retries=None, sessions=None, cells=()):
        outcome = outcome_of()
        totals = next(
            one.totals for phase in outcome.phases for one in phase.measured if one.plan.key == "peak-load"
        )
        totals.add(
            Snapshot("peak-load", 0, "", 0, 0.0, 0, 0, [], list(cells), retries=retries, sessions=sessions)
        )
        return outcome

    return make


def test_attempts_per_request_are_told_with_what_kept_others_from_being_made(told):
    outcome = told(retries=TRIES)
    report = build_report(outcome)
    validate_report(report)
    assert report["activities"]["peak-load"]["retries"] == {
        "tries_sent": 25,
        "requests": 14,
        "attempts_per_request": round(27 / 14, 6),
        "requests_by_attempts": {"1": 10, "2": 3, "11": 1},
        "tried_again": {"reset": 9, "http_503": 4},
        "not_again": {"budget": 2, "attempts": 1},
        "breaker": {"opened": 2, "held_back": 7},
    }
    page = render_html(report, outcome)
    assert "1.93 attempts per request" in page
    assert "not tried again: the budget was spent" in page
    assert "over after 11 tries" in page


def test_conversations_are_told_by_how_they_ended_and_turn_by_turn(told):
    cells = [Cell(0, f"turn={turn}", {"ok": 12 - turn}, {}, {}) for turn in (1, 2, 10)]
    outcome = told(sessions=TALK, cells=cells)
    report = build_report(outcome)
    validate_report(report)
    said = report["activities"]["peak-load"]["sessions"]
    assert said == {
        "begun": 10, "whole": 4, "broken": 3, "broken_at_turn": {"2": 2, "10": 1}, "ended_with_schedule": 2,
        "cut": 1,
    }  # fmt: skip
    page = render_html(report, outcome)
    assert "10 conversations were begun: 4 had all their turns, 3 ended with a turn that failed" in page
    assert page.index('<th scope="row">2</th>') < page.index('<th scope="row">10</th>')


def test_a_load_whose_requests_never_ended_has_no_attempts_per_request(told):
    outcome = told(retries=RetryCounts(written=3))
    report = build_report(outcome)
    validate_report(report)
    assert report["activities"]["peak-load"]["retries"]["attempts_per_request"] is None
    assert "3 tries reached the wire for 0 requests." in render_html(report, outcome)


def test_activities_without_such_clients_say_nothing_of_them(told):
    outcome = told()
    report = build_report(outcome)
    assert not {"retries", "sessions"} & report["activities"]["peak-load"].keys()
    assert "<h2>Clients</h2>" not in render_html(report, outcome)
