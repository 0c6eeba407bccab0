"""What an attempt has come to, in one line: loads by time, regressions by cases, faults by their steps."""

import pytest

from workers.attempts.course import Course, FaultCourse
from workers.chaos.contract import FaultEvent
from workers.contract.data import Fixed, SyntheticData
from workers.contract.facts import Exited
from workers.contract.schedule import OpenArrivals, Segment
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import JUDGED, CaseResult, Cell, Snapshot
from workers.contract.spec import (
    ChaosSpec,
    FaultStep,
    FileRef,
    LoadSpec,
    RegressionSpec,
    ShardTask,
    TargetSpec,
)

TARGET = TargetSpec("t", "json-http", "http://x", {}, 1.0)


def a_load() -> LoadSpec:
    return LoadSpec(
        campaign="c", phase="p", activity="a", kind="load", target=TARGET,
        arrivals=OpenArrivals("constant", (Segment(0.0, 10.0, 5.0, 5.0),), 1, "a"), warmup_s=0.0,
        max_in_flight=1, data=SyntheticData(Fixed(1), Fixed(1)), bounds=(), tag_groups=(), seed=1,
        fence_s=10.0,
    )  # fmt: skip


def a_regression(cases: int) -> RegressionSpec:
    return RegressionSpec(
        campaign="c", phase="p", activity="a", target=TARGET, golden=FileRef("0", 1, "g.jsonl"), compare={},
        concurrency=1, limit=None, bounds=(), tag_groups=(), seed=1, fence_s=10.0, cases=cases,
    )  # fmt: skip


def a_task(*, skip: tuple[int, ...] = ()) -> ShardTask:
    return ShardTask("c", "a", 0, 2, 1, "a:0:1", "w", "i", "0", "load", 0.0, skip_rows=skip)


def a_second(second: int, *, sent: int, latency_s: float = 0.034, cases: int = 0, wrong: int = 0) -> Snapshot:
    sketches = {"latency": to_wire(sketch_of([latency_s] * 100))} if sent else {}
    cell = Cell(second, JUDGED, {"ok": sent}, {}, sketches)
    judged = [CaseResult(row, str(row), "ok", row >= wrong, "", 0.1) for row in range(cases)]
    return Snapshot("a", 0, "a:0:1", second, float(second), 0, sent, [], [cell], cases=judged)


def over(outcome: str = "done", why: str = "") -> Exited:
    return Exited(at_s=0.0, attempt="a:0:1", outcome=outcome, why=why)


def test_a_load_tells_its_share_of_the_time_and_the_rate_and_p99_of_this_second():
    course = Course(a_load(), a_task())
    assert course.hear(a_second(1, sent=812), phase_s=1.0) == "10% · 812 req/s · p99 34 ms"
    assert course.hear(a_second(2, sent=1600), phase_s=4.0) == "40% · 1,600 req/s · p99 34 ms"
    assert course.hear(a_second(3, sent=0), phase_s=99.0) == "100% · 0 req/s"


def test_a_rate_is_over_the_time_since_the_snapshot_before():
    course = Course(a_load(), a_task())
    assert "100 req/s" in course.hear(a_second(1, sent=120), phase_s=1.2)
    assert "200 req/s" in course.hear(a_second(3, sent=400), phase_s=3.0)


def test_a_load_that_is_over_tells_what_was_sent_in_all_and_the_p99_of_all():
    course = Course(a_load(), a_task())
    for second in range(1, 5):
        course.hear(a_second(second, sent=12_000, latency_s=0.1 * second), phase_s=second)
    assert course.end(over()) == "100% · 48,000 sent · p99 400 ms"


def test_an_attempt_that_was_stopped_says_where_and_why():
    course = Course(a_load(), a_task())
    course.hear(a_second(1, sent=7), phase_s=3.4)
    assert course.end(over("stopped", "draining")) == "34% · 7 sent · p99 34 ms · stopped: draining"


def test_a_regression_tells_its_share_of_the_cases_and_what_an_earlier_attempt_judged_counts():
    course = Course(a_regression(40), a_task(skip=(0, 2)))
    assert course.hear(a_second(1, sent=4, cases=4), phase_s=1.0) == "30% · 4 cases/s · p99 34 ms"
    course.hear(a_second(2, sent=14, cases=14, wrong=3), phase_s=2.0)
    assert course.end(over()) == "100% · 20 cases, 3 failed · p99 34 ms"


def test_a_regression_of_unknown_size_tells_no_share():
    course = Course(a_regression(0), a_task())
    assert course.hear(a_second(1, sent=4, cases=4), phase_s=1.0) == "4 cases/s · p99 34 ms"


@pytest.mark.parametrize(
    ("steps", "at_s", "words"),
    [
        ((), 0.0, "waiting, at 30 s"),
        (("injected",), 138.0, "injected, 12 s left"),
        (("injected", "verified"), 151.0, "injected, 0 s left"),
        (("injected", "verified", "reverted"), 151.0, "reverted"),
        (("failed",), 130.0, "failed: no such process"),
    ],
)
def test_a_fault_tells_its_steps(steps, at_s, words):
    spec = ChaosSpec(
        "c", "p", "a", (FaultStep("pause-process", {}, None, at_s=30.0, for_s=20.0),), fence_s=10.0
    )
    course = FaultCourse(spec)
    for step in steps:
        why = "no such process" if step == "failed" else ""
        course.hear(FaultEvent(step, 130.0, took_effect=True, why=why), 0)
    assert course.words(at_s) == words


def test_a_hidden_fault_tells_nothing_until_it_is_over():
    step = FaultStep("pause-process", {}, None, at_s=30.0, for_s=20.0)
    course = FaultCourse(ChaosSpec("c", "p", "a", (step,), fence_s=10.0, hidden=True))
    assert course.words(100.0) == "hidden"
    course.hear(FaultEvent("injected", 130.0, took_effect=True), 0)
    assert course.words(131.0) == "hidden"
