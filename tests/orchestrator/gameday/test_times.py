"""TTD, TTM, TTR and the budget: what they run from, whose they are, what is none."""

import pytest

from orchestrator.gameday.times import (
    Event,
    FaultMoments,
    allowed_minutes,
    belongs_until_s,
    budget_minutes,
    times_of,
)


def fault(**given) -> FaultMoments:
    return FaultMoments(**{"injected_s": 100.0, "until_s": 500.0} | given)


def test_a_fault_that_nobody_noticed_has_no_time_to_detect_though_the_traffic_felt_it() -> None:
    times = times_of(fault(felt_s=101.0))
    assert (times.felt_s, times.detected_s, times.detected_by) == (1.0, None, "")


def test_whoever_is_first_detects_it_an_alert_or_a_person() -> None:
    alert, person = Event(130.0, "alert Slow"), Event(120.0, "ada")
    times = times_of(fault(alerts=[alert], seen=[person]))
    assert (times.detected_s, times.detected_by) == (20.0, "ada")
    assert (times.alerted_s, times.seen_s) == (30.0, 20.0)


def test_what_was_seen_before_the_injection_or_after_the_next_one_belongs_to_another_fault() -> None:
    times = times_of(fault(seen=[Event(99.9, "ada"), Event(500.0, "ada")], alerts=[Event(50.0, "alert Old")]))
    assert times.detected_s is None


def test_what_happens_while_two_faults_act_belongs_to_both() -> None:
    assert belongs_until_s(100.0, 130.0, [120.0]) == float("inf")
    assert belongs_until_s(120.0, 140.0, [100.0]) == float("inf")
    assert belongs_until_s(100.0, 110.0, [120.0, 150.0]) == 120.0
    assert belongs_until_s(100.0, 100.0, [100.0, 100.02]) == 100.02


def test_it_is_mitigated_by_the_first_step_of_the_runbook_or_by_its_own_end() -> None:
    step = Event(140.0, "fail-over by ada")
    assert times_of(fault(ended_s=160.0, done=[step])).mitigated_by == "fail-over by ada"
    ended = times_of(fault(ended_s=130.0, done=[step]))
    assert (ended.mitigated_s, ended.mitigated_by) == (30.0, "the fault's end")
    assert times_of(fault()).mitigated_s is None


def test_recovery_runs_from_the_injection_and_is_none_where_it_never_came() -> None:
    assert times_of(fault(ended_s=160.0, recovered_s=163.0)).recovered_s == 63.0
    assert times_of(fault(ended_s=160.0)).recovered_s is None


def test_the_budget_is_minutes_of_full_outage() -> None:
    assert budget_minutes([1.0] * 30 + [0.5] * 60) == pytest.approx(1.0)
    assert budget_minutes([]) == 0.0
    assert allowed_minutes(0.999) == pytest.approx(43.2)
