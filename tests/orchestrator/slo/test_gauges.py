"""Gauges that a fault moved: back in the band of the 30 s before it, on the side to which it went."""

import pytest

from orchestrator.slo.evidence import Evidence, FaultSpan
from orchestrator.slo.watched import GaugeLog, Watched

FAULT = FaultSpan("hang", "pause-process", injected_s=20.0, reverted_s=25.0, recovered_s=26.0)
TEXT = "metric(queue) returns within 6s"


def readings(calm=4.0, **spans):
    """4 in each second of 60 but in the spans: `up=(21, 28, 90.0)`."""
    values = dict.fromkeys(range(60), calm)
    for first, last, value in spans.values():
        values |= dict.fromkeys(range(first, last), value)
    return {second: value for second, value in values.items() if value is not None}


@pytest.fixture
def judge_it(judged):
    def judge(values, *, text=TEXT, faults=(FAULT,), **more):
        log = GaugeLog(values, **more)
        known = Evidence("hang", "chaos", 60.0, faults=faults, watched=Watched(gauges={"chat queue": log}))
        found = judged(text, known, place="expect", fault="hang")
        return found.verdict, found.observed, found.why

    return judge


@pytest.mark.parametrize(
    ("until", "verdict", "observed"), [(26, "pass", 1.0), (31, "pass", 6.0), (33, "fail", 8.0)]
)
def test_a_gauge_returns_with_the_first_of_five_readings_in_its_band(judge_it, until, verdict, observed):
    assert judge_it(readings(up=(21, until, 90.0)))[:2] == (verdict, pytest.approx(observed))


def test_a_gauge_that_fell_must_come_up_again_and_may_overshoot_less(judge_it):
    assert judge_it(readings(down=(21, 33, 0.0)))[0] == "fail"
    assert judge_it(readings(down=(21, 27, -90.0), over=(27, 40, 9.0)))[:2] == ("pass", pytest.approx(2.0))


def test_a_gauge_that_never_left_its_band_is_back_at_once(judge_it):
    assert judge_it(readings(up=(21, 25, 4.9)))[:2] == ("pass", 0.0)


def test_a_gauge_that_only_touches_its_band_is_not_back(judge_it):
    touching = readings(up=(21, 50, 90.0)) | {27: 4.0, 28: 4.0}
    assert judge_it(touching)[0] == "fail"


def test_readings_that_end_too_early_are_no_fail_and_too_few_before_are_no_baseline(judge_it):
    early = {second: value for second, value in readings(up=(21, 60, 90.0)).items() if second < 29}
    assert judge_it(early, faults=(FAULT,))[0] == "invalid"
    late = FaultSpan("hang", "pause-process", injected_s=50.0, reverted_s=56.0, recovered_s=57.0)
    assert judge_it(readings(up=(50, 60, 90.0)), faults=(late,))[0] == "inconclusive"
    few = FaultSpan("hang", "pause-process", injected_s=8.0, reverted_s=9.0, recovered_s=10.0)
    found = judge_it(readings(), faults=(few,))
    assert (found[0], "8 readings of chat before the injection, 10 are needed" in found[2]) == (
        "inconclusive",
        True,
    )


def test_a_page_that_could_not_be_read_says_why(judge_it):
    found = judge_it(readings(gone=(21, 30, None)), why="chat:9: no answer within 2 s")
    assert found[0] == "invalid"
    assert "no answer within 2 s" in found[2]


def test_of_several_targets_the_worst_counts(judged):
    logs = {"chat queue": GaugeLog(readings()), "other queue": GaugeLog(readings(up=(21, 50, 90.0)))}
    known = Evidence("hang", "chaos", 60.0, faults=(FAULT,), watched=Watched(gauges=logs))
    found = judged(TEXT, known, place="expect", fault="hang")
    assert (found.verdict, "on other" in found.why) == ("fail", True)


def test_a_gauge_that_nobody_read_is_invalid(judged):
    known = Evidence("hang", "chaos", 60.0, faults=(FAULT,), watched=Watched(why="refused"))
    found = judged(TEXT, known, place="expect", fault="hang")
    assert (found.verdict, found.why) == ("invalid", "it was not read: refused")
