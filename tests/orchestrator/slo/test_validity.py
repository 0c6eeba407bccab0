from dataclasses import dataclass, replace

from orchestrator.slo.evidence import Evidence, FaultSpan, joined
from orchestrator.slo.validity import cautions, invalid_fault_reasons, invalid_reasons, lateness, series_gap


@dataclass(frozen=True)
class Limits:
    achieved: float = 0.99
    coverage: float = 0.99
    lag_p99: float = 0.010
    start_skew: float = 1.0


def test_a_clean_run_gives_no_reason():
    clean = Evidence("peak", "load", 60.0, start_skew_s=0.02, lag_p99_s=0.003)
    assert invalid_reasons(clean, Limits()) == ()
    assert lateness(clean, Limits()) == ""


def test_each_fault_of_the_test_is_said_with_its_number():
    spoilt = Evidence(
        "peak",
        "load",
        60.0,
        achieved=0.97,
        coverage=0.981,
        unknown=12,
        unsent_generator=340,
        start_skew_s=1.4,
    )
    reasons = invalid_reasons(spoilt, Limits())
    assert len(reasons) == 3
    assert "97%" in reasons[0]
    assert "98.1%" in reasons[1]
    assert "340 unsent by the generator, 12 unknown" in reasons[1]
    assert "1.4 s apart" in reasons[2]


def test_what_ended_before_its_time_is_not_blamed_on_the_generator():
    stopped = Evidence("peak", "load", 60.0, achieved=0.2, coverage=0.2, ended_early="aborted")
    assert invalid_reasons(stopped, Limits()) == ("ended before its time: aborted",)


def test_a_fault_must_have_taken_effect_been_reverted_and_left_nothing():
    good = FaultSpan("hang", "pause-process", 10.0, 12.0)
    assert invalid_fault_reasons(good) == ()
    assert invalid_fault_reasons(FaultSpan("killed", "kill-process", 10.0, None, one_shot=True)) == ()
    bad = FaultSpan(
        "hang", "pause-process", 10.0, None, took_effect=False, why="no such pid", residue="a rule"
    )
    assert len(invalid_fault_reasons(bad)) == 3
    assert "no such pid" in invalid_fault_reasons(bad)[0]


def test_an_effect_that_nobody_looked_for_is_not_called_none():
    unseen = FaultSpan("f", "pause-process", 1.0, 2.0, took_effect=None, why="its worker was killed")
    (reason,) = invalid_fault_reasons(unseen)
    assert reason == "the fault was never seen to take effect: its worker was killed"
    seen, none = replace(unseen, took_effect=True), replace(unseen, took_effect=False)
    assert joined([seen, unseen]).took_effect is None
    assert joined([seen, unseen, none]).took_effect is False
    assert joined([seen, seen]).took_effect is True


def test_what_is_late_apart_or_busy_is_told_though_it_decides_nothing():
    calm = Evidence("peak", "load", 60.0, start_skew_s=0.049, lag_p99_s=0.01, busy_share=0.89)
    assert cautions(calm, Limits()) == ()
    rough = Evidence(
        "peak", "load", 60.0, start_skew_s=0.05, lag_p99_s=0.011, hub_delay_p99_s=0.012, busy_share=0.9
    )
    said = cautions(rough, Limits())
    assert said == (
        "the generator was late (lag p99 11 ms, hub delay p99 12 ms; at most 10 ms)",
        "the phase's shards started 50 ms apart",
        "an engine used 90% of a core in its busiest second: split the load into more shards",
    )
    assert invalid_reasons(rough, Limits()) == ()


def test_shards_too_far_apart_are_a_reason_and_no_mere_caution():
    apart = Evidence("peak", "load", 60.0, start_skew_s=1.1)
    assert cautions(apart, Limits()) == ()
    assert len(invalid_reasons(apart, Limits())) == 1


def test_a_series_with_more_than_a_tenth_missing_carries_no_claim():
    assert series_gap("target.rss", missing=6, of=60) == ""
    assert series_gap("target.rss", missing=7, of=60) == (
        "target.rss has no reading in 7 of 60 seconds (11.7%); at most 10% may be missing"
    )
    assert series_gap("target.rss", missing=0, of=0) == ""


def test_low_coverage_names_what_the_gaps_are_due_to_and_not_all_of_a_long_list():
    whys = tuple(f"worker w{number} died" for number in range(1, 6))
    (one,) = invalid_reasons(Evidence("peak", "load", 60.0, coverage=0.9, lost_to=whys[:1]), Limits())
    assert one.endswith("at least 99% is needed: worker w1 died")
    (many,) = invalid_reasons(Evidence("peak", "load", 60.0, coverage=0.9, lost_to=whys), Limits())
    assert many.endswith("needed: worker w1 died; worker w2 died; worker w3 died; and 2 more")
