"""Expressions about planned faults: during them, outside them, and what is expected of them."""

from dataclasses import replace

import pytest

from orchestrator.slo.evidence import CaseCounts, FaultSpan, Second, SeriesSum
from orchestrator.slo.judge import judge_observed
from orchestrator.slo.parse import parse


def test_a_fault_is_counted_whole_and_does_not_blow_up_the_doubt(judged, evidence_of, seconds_of):
    rows = seconds_of("p90(latency) < 250ms", over=lambda s: 100 if 30 <= s < 33 else 0)
    fault = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=33.0, recovered_s=33.0)
    text = "p90(latency) < 250ms"
    assert judged(text, evidence_of(rows)).verdict == "inconclusive"
    found = judged(text, evidence_of(rows, faults=(fault,)))
    assert found.verdict == "pass"
    assert "planned fault spans" in found.why


def test_outside_faults_leaves_out_the_requests_that_were_in_flight(judged, evidence_of, seconds_of):
    text = "p99(latency) < 250ms outside faults"
    fault = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=32.0, recovered_s=34.0)
    slow = SeriesSum(count=100, sum=100.0, min=0.1, max=2.5)
    rows = seconds_of(text, over=lambda s: 50 if 27 <= s < 34 else 0, sums={"service_time": slow})
    assert judged(text, evidence_of(rows, faults=(fault,))).verdict == "pass"
    assert judged(text, evidence_of(rows, faults=(fault,))).samples == 5300
    quick = seconds_of(text, over=lambda s: 50 if 27 <= s < 34 else 0)
    assert judged(text, evidence_of(quick, faults=(fault,))).verdict != "pass"


def test_a_fault_without_recovery_leaves_out_all_that_follows(judged, evidence_of, seconds_of):
    text = "p99(latency) < 250ms outside faults"
    fault = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=32.0, recovered_s=None)
    found = judged(text, evidence_of(seconds_of(text, over=lambda s: 90 if s >= 30 else 0), faults=(fault,)))
    assert (found.verdict, found.samples) == ("pass", 2900)


def test_during_a_fault_only_its_seconds_are_judged(judged, evidence_of, outcomes):
    text = "success_rate >= 90% during hang"
    rows = [outcomes(s, **({"ok": 50, "http_503": 50} if 30 <= s < 40 else {"ok": 100})) for s in range(60)]
    fault = FaultSpan("hang", "pause-process", injected_s=30.5, reverted_s=40.0)
    found = judged(text, evidence_of(rows, faults=(fault,)))
    assert (found.verdict, found.samples) == ("fail", 1000)
    assert found.observed == pytest.approx(0.5)


def test_during_a_fault_that_did_nothing_nothing_can_be_said(judged, evidence_of, outcomes):
    text = "success_rate >= 90% during hang"
    fault = FaultSpan("hang", "pause-process", 30.0, 40.0, took_effect=False, why="still running")
    found = judged(text, evidence_of([outcomes(s, ok=100) for s in range(60)], faults=(fault,)))
    assert (found.verdict, found.why) == ("invalid", "the fault hang did not take effect: still running")
    assert judged(text, evidence_of([])).verdict == "invalid"


def traffic_with_hang(*, back_at):
    calm = {"latency": {0.99: 0.1}}
    stalled = {"latency": {0.99: 3.0}}
    return tuple(
        Second(s, outcomes={"ok": 60}, quantiles=stalled if 30 <= s < back_at else calm) for s in range(60)
    )


HANG = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=32.0)


def test_recovery_is_measured_from_the_revert(judged, evidence_of):
    found = judged(
        "recovery < 5s",
        evidence_of(traffic_with_hang(back_at=34), faults=(HANG,)),
        place="expect",
        fault="hang",
    )
    assert (found.verdict, found.observed) == ("pass", 2.0)
    late = judged(
        "recovery < 5s",
        evidence_of(traffic_with_hang(back_at=40), faults=(HANG,)),
        place="expect",
        fault="hang",
    )
    assert (late.verdict, late.observed) == ("fail", 8.0)


def test_a_late_recovery_that_is_the_generators_own_delay_is_no_fail_of_the_target(judged, evidence_of):
    def hiccup(own_delay_s):
        rows = list(traffic_with_hang(back_at=33))
        late = SeriesSum(count=60, sum=1.0, min=0.0, max=own_delay_s)
        slow = {"latency": {0.99: 0.13}}
        rows[36] = Second(36, outcomes={"ok": 60}, quantiles=slow, sums={"own_delay": late})
        rows[40] = Second(40, outcomes={"ok": 60}, quantiles=slow, sums={"own_delay": late})
        return judged("recovery < 5s", evidence_of(rows, faults=(HANG,)), place="expect", fault="hang")

    ours = hiccup(0.03)
    assert (ours.verdict, ours.observed) == ("invalid", 9.0)
    assert "with the generator's own delay taken off it would be a pass" in ours.why
    assert hiccup(0.001).verdict == "fail"


def test_traffic_that_never_came_back_is_a_fail_with_the_time_that_it_had(judged, evidence_of):
    found = judged(
        "recovery < 5s",
        evidence_of(traffic_with_hang(back_at=60), faults=(HANG,)),
        place="expect",
        fault="hang",
    )
    assert (found.verdict, found.observed) == ("fail", None)
    assert "28 s after the revert" in found.why


def test_a_margin_smaller_than_the_clocks_doubt_is_invalid(judged, evidence_of):
    unsure = replace(HANG, uncertainty_s=0.5)
    rows = traffic_with_hang(back_at=37)
    found = judged("recovery < 5.2s", evidence_of(rows, faults=(unsure,)), place="expect", fault="hang")
    assert found.verdict == "invalid"


def test_of_several_observed_activities_the_worst_verdict_counts(evidence_of, limits):
    good = evidence_of(traffic_with_hang(back_at=34), faults=(HANG,))
    bad = replace(evidence_of(traffic_with_hang(back_at=40), faults=(HANG,)), activity="other")
    found = judge_observed(
        parse("recovery < 5s", place="expect"), [good, bad], campaign_slos=(), validity=limits, fault="hang"
    )
    assert (found.verdict, found.activity) == ("fail", "hang")
    assert found.why.startswith("on other:")
    with pytest.raises(ValueError, match="observes no activity"):
        judge_observed(
            parse("recovery < 5s", place="expect"), [], campaign_slos=(), validity=limits, fault="hang"
        )


def test_an_expectation_is_judged_over_the_faults_span(judged, evidence_of, outcomes):
    text = "success_rate >= 90%"
    rows = [outcomes(s, **({"http_503": 100} if 30 <= s < 32 else {"ok": 100})) for s in range(60)]
    found = judged(text, evidence_of(rows, faults=(HANG,)), place="expect", fault="hang")
    assert (found.verdict, found.samples) == ("fail", 200)
    with pytest.raises(ValueError, match="must be named"):
        judged(text, evidence_of(rows, faults=(HANG,)), place="expect")


def test_alerts_that_nobody_asked_for_are_invalid(judged, evidence_of):
    text = "alert(ReplicaDown) fires within 120s"
    found = judged(text, evidence_of([], faults=(HANG,)), place="expect", fault="hang")
    assert (found.verdict, found.bound) == ("invalid", 120.0)


def test_a_fault_on_several_hosts_is_judged_from_the_first_injection_to_the_last_revert(
    judged, evidence_of, outcomes
):
    text = "success_rate >= 90% during hang"
    hosts = (HANG, replace(HANG, injected_s=33.0, reverted_s=36.0))
    found = judged(text, evidence_of([outcomes(s, ok=100) for s in range(60)], faults=hosts))
    assert (found.verdict, found.samples) == ("pass", 600)
    failed = (HANG, replace(HANG, took_effect=False, why="no such pid"))
    assert (
        judged(text, evidence_of([outcomes(s, ok=100) for s in range(60)], faults=failed)).verdict
        == "invalid"
    )


def test_a_wrong_answer_during_a_fault_is_told_apart_from_one_that_failed(judged, evidence_of, outcomes):
    rows = [outcomes(s, ok=10) for s in range(20)] + [outcomes(s, ok=6, http_503=4) for s in range(20, 30)]
    failed = [outcomes(s, http_503=4) for s in range(20, 30)]
    hang = FaultSpan("hang", "pause-process", 20.0, 30.0, took_effect=True)
    evidence = evidence_of(
        rows,
        kind="regression",
        duration_s=30.0,
        faults=(hang,),
        missed={"": tuple(failed)},
        regression=CaseCounts(24, 24),
    )
    assert judged("never(invalid) during hang", evidence).verdict == "pass"
    assert judged("never(http_5xx) during hang", evidence).verdict == "fail"
    part = judged("pass_rate >= 100% during hang", evidence)
    assert (part.verdict, part.samples) == ("fail", 100)
    assert part.observed == pytest.approx(0.6)
    assert judged("pass_rate >= 100% outside faults", evidence).verdict == "pass"

    wrong = [outcomes(s, ok=2, http_503=4) for s in range(20, 30)]
    lied = replace(evidence, missed={"": tuple(wrong)})
    found = judged("never(invalid) during hang", lied)
    assert (found.verdict, found.observed) == ("fail", 20.0)
    assert "20 × invalid" in found.why
    assert "answered with success, and not as the golden case expects" in found.why
    assert judged("never(invalid) outside faults", lied).verdict == "pass"
    assert judged("always(ok, http_503) during hang", lied).verdict == "fail"
    assert judged(
        "agreement >= 99% during hang", replace(lied, regression=CaseCounts(24, 24, 24))
    ).verdict == ("invalid")
