"""Single requests in the report: the slowest, some that failed, and how many samples there are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from orchestrator.report.build import build_report, validate_report
from orchestrator.report.html import render_html
from orchestrator.results.outcome import Outcome
from workers.contract.slowest import MOST
from workers.contract.snapshot import ErrorExample, SlowRequest, Snapshot

EVIL = "<script>alert(1)</script>"
SAMPLED = (Path(__file__).parent / "campaign.yaml").read_text() + "samples: 10%\n"


def slow(index: int, latency_s: float, **more: object) -> SlowRequest:
    values = {
        "request_id": f"peak-load/{index}/1", "trace_id": f"{index:032x}", "outcome": "ok", "intended_s": 4.5,
        "latency_s": latency_s, "service_time_s": latency_s, "status": 200, "asked": '{"q": 1}',
        "answered": "yes",
    }  # fmt: skip
    return SlowRequest(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def told(outcome_of) -> Callable[..., Outcome]:
    """An ended campaign whose peak-load told of these requests."""

    def make(*slowest: SlowRequest, sampled: int = 0, **more: object) -> Outcome:
        outcome = outcome_of(**more)
        totals = next(
            one.totals for phase in outcome.phases for one in phase.measured if one.plan.key == "peak-load"
        )
        totals.add(
            Snapshot(
                "peak-load", 0, "", 0, 0.0, 0, 0, [], [], slowest=list(slowest), sampled=sampled,
                examples=[
                    ErrorExample("http_500", "broken", "peak-load/9/1", 1.0, "ab" * 16, f"an answer {EVIL}")
                ],
            )
        )  # fmt: skip
        return outcome

    return make


def test_the_slowest_come_first_with_all_that_is_known_of_them(told):
    requests = [slow(index, index / 10, ttft_s=None if index % 2 else 0.05) for index in range(30)]
    report = build_report(told(*requests))
    validate_report(report)
    found = report["activities"]["peak-load"]["slowest"]
    assert [one["latency_s"] for one in found] == [index / 10 for index in range(29, 29 - MOST, -1)]
    assert found[0] == {
        "request_id": "peak-load/29/1", "trace_id": f"{29:032x}", "outcome": "ok", "status": 200,
        "intended_s": 4.5, "latency_s": 2.9, "service_time_s": 2.9, "asked": '{"q": 1}', "answered": "yes",
    }  # fmt: skip
    assert found[1]["ttft_s"] == 0.05


def test_a_failed_request_has_its_trace_and_how_its_answer_began(told):
    report = build_report(told())
    found = [one for one in report["activities"]["peak-load"]["errors"] if one["outcome"] == "http_500"]
    assert found[0]["trace_id"] == "ab" * 16
    assert found[0]["excerpt"] == f"an answer {EVIL}"


def test_the_page_lists_them_escaped_and_says_how_to_send_one_again(told):
    outcome = told(slow(7, 2.0, answered=EVIL))
    page = render_html(build_report(outcome), outcome)
    assert EVIL not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert f"{7:032x}" in page
    assert f"shakeout replay {outcome.id} --request peak-load/" in page


def test_samples_are_told_by_what_stands_at_the_runs_url(told):
    outcome = told(sampled=600, text=SAMPLED)
    outcome = replace(outcome, samples={"peak-load": (600, 3)})
    report = build_report(outcome)
    validate_report(report)
    assert report["activities"]["peak-load"]["samples"] == {
        "share": 0.1, "rows": 600, "files": 3, "missing": 0, "why": [],
    }  # fmt: skip
    assert "samples" not in report["activities"]["golden"], "a regression keeps none"


def test_rows_that_are_missing_are_counted_and_the_worker_says_why(told):
    outcome = told(sampled=600, text=SAMPLED)
    attempts = dict(outcome.state.attempts)
    for id_, attempt in attempts.items():
        if attempt.activity == "peak-load" and attempt.exited is not None:
            exited = structs.replace(attempt.exited, samples_why=f"worker w: the store is away {EVIL}")
            attempts[id_] = replace(attempt, exited=exited)
    state = replace(outcome.state, attempts=attempts)
    outcome = replace(outcome, samples={"peak-load": (450, 2)}, state=state)
    report = build_report(outcome)
    validate_report(report)
    found = report["activities"]["peak-load"]["samples"]
    assert (found["missing"], found["why"]) == (150, [f"worker w: the store is away {EVIL}"])
    page = render_html(report, outcome)
    assert "150 are missing" in page
    assert EVIL not in page


def test_of_all_requests_the_outcomes_say_how_many_rows_there_should_be(told):
    outcome = told(text=SAMPLED.replace("samples: 10%", "samples: all"))
    said = build_report(outcome)["activities"]["peak-load"]
    sent = said["requests"]["sent"] + said["warmup"]["requests"]["sent"]
    assert said["samples"]["missing"] == sent > 0
    outcome = replace(outcome, samples={"peak-load": (sent, 4)})
    assert build_report(outcome)["activities"]["peak-load"]["samples"]["missing"] == 0
