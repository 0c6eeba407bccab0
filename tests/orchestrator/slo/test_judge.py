from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.slo.bounds import bounds_of
from orchestrator.slo.evidence import CaseCounts, Evidence, FaultSpan, Prices, Second, SeriesSum
from orchestrator.slo.judge import judge, judge_observed
from orchestrator.slo.parse import parse
from workers.contract.bounds import BoundCount


@dataclass(frozen=True)
class Limits:
    achieved: float = 0.99
    coverage: float = 0.99
    lag_p99: float = 0.010
    start_skew: float = 1.0


def seconds_of(text, *, n=100, over=None, span=(0, 60), less=None, **more):
    """One row a second: `n` ok requests, of which `over(second)` are over every bound of the expression."""
    bounds = [bound.id for bound in bounds_of([parse(text, place="slos")])]
    rows = []
    for second in range(*span):
        t = over(second) if over else 0
        t_less = less(second) if less else t
        counts = {name: BoundCount(n, t, t_less) for name in bounds}
        rows.append(Second(second, outcomes={"ok": n}, bounds=counts, **more))
    return tuple(rows)


def evidence_of(rows, **more):
    span = {"duration_s": 60.0, "kind": "load", "activity": "peak"}
    groups = {"": tuple(rows), **more.pop("groups", {})}
    return Evidence(**{**span, **more}, groups=groups)


def judged(text, evidence, *, place="slos", campaign_slos=(), fault=None):
    return judge(
        parse(text, place=place),
        evidence,
        place=place,
        campaign_slos=[parse(one, place="slos") for one in campaign_slos],
        validity=Limits(),
        fault=fault,
    )


def outcomes(second, **counts):
    return Second(second, outcomes=counts)


QUANTILE = "p99(latency) < 250ms"


def test_a_quantile_with_few_over_passes_and_says_with_which_limit():
    found = judged(QUANTILE, evidence_of(seconds_of(QUANTILE, over=lambda s: s % 5 == 0)))
    assert found.verdict == "pass"
    assert (found.samples, found.bound, found.slo, found.activity) == (6000, 0.25, QUANTILE, "peak")
    assert found.why.startswith("0.2% of 6,000 requests were over 250 ms")
    assert "at most 1% may be (upper 99% limit 0.38%)" in found.why


def test_a_quantile_with_many_over_fails():
    found = judged(QUANTILE, evidence_of(seconds_of(QUANTILE, over=lambda s: 5)))
    assert found.verdict == "fail"
    assert "5% of 6,000 requests" in found.why


def test_six_hundred_requests_cannot_carry_three_nines_and_it_says_what_could():
    text = "p99.9(latency) < 250ms"
    found = judged(text, evidence_of(seconds_of(text, n=10)))
    assert found.verdict == "inconclusive"
    assert "600 requests support 99.2%, not 99.9%" in found.why
    assert "4,003 requests more would settle it (6.67 min at this rate)" in found.why


def test_whole_stalled_seconds_are_worth_one_request_each():
    rows = seconds_of(QUANTILE, over=lambda s: 100 if s == 30 else 0)
    found = judged(QUANTILE, evidence_of(rows))
    assert found.verdict == "inconclusive"
    assert found.effective_samples == pytest.approx(60, rel=0.1)
    assert "independent" in found.why


def test_a_fault_is_counted_whole_and_does_not_blow_up_the_doubt():
    rows = seconds_of("p90(latency) < 250ms", over=lambda s: 100 if 30 <= s < 33 else 0)
    fault = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=33.0, recovered_s=33.0)
    text = "p90(latency) < 250ms"
    assert judged(text, evidence_of(rows)).verdict == "inconclusive"
    found = judged(text, evidence_of(rows, faults=(fault,)))
    assert found.verdict == "pass"
    assert "planned fault spans" in found.why


def test_outside_faults_leaves_out_the_requests_that_were_in_flight():
    text = "p99(latency) < 250ms outside faults"
    fault = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=32.0, recovered_s=34.0)
    slow = SeriesSum(count=100, sum=100.0, min=0.1, max=2.5)
    rows = seconds_of(text, over=lambda s: 50 if 27 <= s < 34 else 0, sums={"service_time": slow})
    assert judged(text, evidence_of(rows, faults=(fault,))).verdict == "pass"
    assert judged(text, evidence_of(rows, faults=(fault,))).samples == 5300
    quick = seconds_of(text, over=lambda s: 50 if 27 <= s < 34 else 0)
    assert judged(text, evidence_of(quick, faults=(fault,))).verdict != "pass"


def test_a_fault_without_recovery_leaves_out_all_that_follows():
    text = "p99(latency) < 250ms outside faults"
    fault = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=32.0, recovered_s=None)
    found = judged(text, evidence_of(seconds_of(text, over=lambda s: 90 if s >= 30 else 0), faults=(fault,)))
    assert (found.verdict, found.samples) == ("pass", 2900)


def test_during_a_fault_only_its_seconds_are_judged():
    text = "success_rate >= 90% during hang"
    rows = [outcomes(s, **({"ok": 50, "http_503": 50} if 30 <= s < 40 else {"ok": 100})) for s in range(60)]
    fault = FaultSpan("hang", "pause-process", injected_s=30.5, reverted_s=40.0)
    found = judged(text, evidence_of(rows, faults=(fault,)))
    assert (found.verdict, found.samples) == ("fail", 1000)
    assert found.observed == pytest.approx(0.5)


def test_during_a_fault_that_did_nothing_nothing_can_be_said():
    text = "success_rate >= 90% during hang"
    fault = FaultSpan("hang", "pause-process", 30.0, 40.0, took_effect=False, why="still running")
    found = judged(text, evidence_of([outcomes(s, ok=100) for s in range(60)], faults=(fault,)))
    assert (found.verdict, found.why) == ("invalid", "the fault hang did not take effect: still running")
    assert judged(text, evidence_of([])).verdict == "invalid"


def test_during_a_stage_its_own_rows_are_judged():
    text = "p95(latency) < 150ms during twice-peak"
    rows = seconds_of(text, over=lambda s: 30 if 20 <= s < 40 else 0)
    evidence = evidence_of(rows, stages={"twice-peak": (20.0, 40.0)})
    assert (judged(text, evidence).verdict, judged(text, evidence).samples) == ("fail", 2000)


def test_every_window_is_judged_alone():
    text = "p90(latency) < 500ms over 20s"
    rows = seconds_of(text, over=lambda s: 30 if 20 <= s < 40 else 0)
    found = judged(text, evidence_of(rows))
    assert found.verdict == "fail"
    assert "1 of 3 windows fail" in found.why
    assert "between 20 s and 40 s" in found.why
    assert judged("p90(latency) < 500ms", evidence_of(rows)).verdict != "pass"


def test_a_rest_shorter_than_half_a_window_joins_the_one_before():
    text = "rate > 0/s over 25s"
    found = judged(text, evidence_of([outcomes(s, ok=10) for s in range(60)]))
    assert "2 of 2 windows pass" in found.why


def test_the_warm_up_is_in_no_window():
    text = "rate >= 10/s over 10s"
    rows = [outcomes(s, ok=10) for s in range(20, 60)]
    found = judged(text, evidence_of(rows, warmup_s=20.0))
    assert (found.verdict, found.observed) == ("pass", 10.0)
    assert "4 of 4 windows" in found.why


def test_only_rows_with_the_tag_are_judged():
    text = "always(http_4xx) for mutation=wrong-type"
    tagged = (outcomes(0, http_400=3, http_422=1),)
    evidence = evidence_of([outcomes(0, ok=5)], groups={"mutation=wrong-type": tagged}, kind="regression")
    assert (judged(text, evidence).verdict, judged(text, evidence).samples) == ("pass", 4)
    missing = judged(text, evidence_of([outcomes(0, ok=5)]))
    assert missing.verdict == "inconclusive"


def test_never_and_always_are_a_census_and_say_what_broke_them():
    rows = [outcomes(0, ok=990, http_503=2, timeout=1, unsent_generator=4)]
    found = judged("never(http_5xx, timeout)", evidence_of(rows))
    assert (found.verdict, found.samples, found.observed) == ("fail", 993, 3.0)
    assert "2 × http_503" in found.why
    assert judged("never(http_4xx, reset)", evidence_of(rows)).verdict == "pass"
    assert judged("always(ok)", evidence_of(rows)).verdict == "fail"
    assert judged("always(ok)", evidence_of([])).verdict == "inconclusive"
    assert judged("never(unsent)", evidence_of([outcomes(0, ok=9, unsent_target=1)])).verdict == "fail"
    assert judged("never(unsent)", evidence_of(rows)).verdict == "pass"


def test_target_unsent_counts_against_success_and_generator_unsent_does_not():
    rows = [outcomes(s, ok=96, unsent_target=4, unsent_generator=50) for s in range(60)]
    found = judged("success_rate >= 99%", evidence_of(rows))
    assert (found.verdict, found.observed, found.samples) == ("fail", pytest.approx(0.96), 6000)


def test_goodput_is_the_share_that_meets_every_limit():
    text = "goodput(ttft < 500ms, tpot < 50ms) >= 90%"
    found = judged(text, evidence_of(seconds_of(text, over=lambda s: 3)))
    assert (found.verdict, found.observed) == ("pass", pytest.approx(0.97))
    assert judged(text, evidence_of(seconds_of(text, over=lambda s: 30))).verdict == "fail"


def test_a_lower_limit_on_a_quantile_is_the_mirror_of_the_upper_one():
    text = "p50(latency) > 100ms"
    assert judged(text, evidence_of(seconds_of(text, over=lambda s: 90))).verdict == "pass"
    assert judged(text, evidence_of(seconds_of(text, over=lambda s: 10))).verdict == "fail"


def test_a_fail_that_the_generator_made_is_invalid():
    rows = seconds_of(QUANTILE, over=lambda s: 5, less=lambda s: 0)
    found = judged(QUANTILE, evidence_of(rows))
    assert found.verdict == "invalid"
    assert "without the generator's own delay it would not fail" in found.why


def test_a_latency_pass_stands_despite_a_late_generator_with_a_note():
    found = judged(QUANTILE, evidence_of(seconds_of(QUANTILE), lag_p99_s=0.03))
    assert found.verdict == "pass"
    assert "lag p99 30 ms" in found.why


@pytest.mark.parametrize(
    "text",
    ["p99(itl) < 50ms", "p99(service_time) < 1s", "goodput(tpot < 50ms) >= 90%", "success_rate >= 99%"],
)
def test_a_pass_that_a_late_generator_could_have_made_is_inconclusive(text):
    rows = seconds_of(text)
    assert judged(text, evidence_of(rows)).verdict == "pass"
    found = judged(text, evidence_of(rows, hub_delay_p99_s=0.05))
    assert found.verdict == "inconclusive"
    assert "hub delay p99 50 ms" in found.why


def test_a_quantile_that_nothing_was_counted_for_is_inconclusive():
    found = judged("p99(ttft) < 1s", evidence_of([outcomes(s, ok=10) for s in range(60)]))
    assert (found.verdict, found.samples) == ("inconclusive", 0)
    assert "ttft" in found.why


def test_the_shown_quantile_counts_failures_above_every_answer():
    asked = []

    def quantile_of(group, series, q, seconds):
        asked.append((group, series, round(q, 6), len(seconds)))
        return 0.123

    rows = [
        replace(row, outcomes={"ok": 99, "timeout": 1})
        for row in seconds_of("p98(latency) < 1s", over=lambda s: 1)
    ]
    found = judged("p98(latency) < 1s", evidence_of(rows, quantile_of=quantile_of))
    assert found.observed == 0.123
    assert asked == [("", "latency", round(0.98 * 6000 / 5940, 6), 60)]


def sums_rows(mean_of, *, series="latency", n=100):
    return [
        Second(
            s,
            outcomes={"ok": n},
            sums={
                series: SeriesSum(n, n * mean_of(s), mean_of(s) / 2, mean_of(s) * 2),
                "lag": SeriesSum(n, n * 0.02, 0, 0.3),
            },
        )
        for s in range(60)
    ]


def test_a_mean_is_judged_by_its_interval():
    rows = sums_rows(lambda s: 0.1 + 0.05 * (s % 2))
    assert judged("mean(latency) < 200ms", evidence_of(rows)).verdict == "pass"
    assert judged("mean(latency) < 80ms", evidence_of(rows)).verdict == "fail"
    wild = sums_rows(lambda s: 0.1 if s % 9 else 2.0)
    found = judged("mean(latency) < 350ms", evidence_of(wild))
    assert found.verdict == "inconclusive"
    assert "inside the interval" in found.why
    short = judged("mean(latency) < 200ms", evidence_of(rows[:15]))
    assert short.verdict == "inconclusive"


def test_a_mean_that_only_lag_made_too_high_is_invalid():
    rows = sums_rows(lambda s: 0.1)
    assert judged("mean(latency) < 90ms", evidence_of(rows)).verdict == "invalid"


def test_the_greatest_value_is_compared_as_it_is():
    rows = sums_rows(lambda s: 0.1)
    found = judged("max(service_time) < 150ms", evidence_of(sums_rows(lambda s: 0.1, series="service_time")))
    assert found.verdict == "invalid"
    assert judged("max(latency) <= 200ms", evidence_of(rows)).verdict == "pass"
    assert judged("min(latency) > 60ms", evidence_of(rows)).verdict == "fail"


def test_rates_are_per_second_of_the_judged_span():
    rows = [outcomes(s, ok=90, http_500=10) for s in range(60)]
    assert judged("rate >= 100/s", evidence_of(rows)).verdict == "pass"
    assert judged("throughput >= 91/s", evidence_of(rows)).verdict == "fail"
    half = judged("rate >= 100/s", evidence_of(rows[30:], warmup_s=30.0))
    assert half.observed == pytest.approx(100.0)


def test_absent_tokens_are_no_zero():
    rows = [Second(s, outcomes={"ok": 10}, ok_tokens=240) for s in range(60)]
    assert judged("tokens_per_s >= 240", evidence_of(rows)).verdict == "pass"
    gap = [*rows[:-1], Second(59, outcomes={"ok": 10}, ok_tokens=216, tokens_absent=1)]
    assert judged("tokens_per_s >= 200", evidence_of(gap)).verdict == "inconclusive"


def test_golden_cases_are_a_census():
    evidence = evidence_of([], kind="regression", regression=CaseCounts(24, 24, 23))
    assert judged("pass_rate >= 100%", evidence).verdict == "pass"
    found = judged("agreement >= 99%", evidence)
    assert (found.verdict, found.observed, found.samples) == ("fail", pytest.approx(23 / 24), 24)
    tagged = replace(evidence, groups={"length=long": ()}, cases={"length=long": CaseCounts(4, 3)})
    assert judged("pass_rate >= 100% for length=long", tagged).verdict == "fail"
    assert judged("pass_rate >= 100%", replace(evidence, regression=None)).verdict == "inconclusive"


def test_cost_is_of_machines_and_energy_over_ok_work():
    rows = [outcomes(s, ok=100) for s in range(60)]
    text = "cost_per_1k_requests < $0.009"
    prices = Prices(machine_hour=3.6, machines=1)
    found = judged(text, evidence_of(rows, prices=prices))
    assert found.observed == pytest.approx(3.6 / 60 / 6000 * 1000)
    assert found.verdict == "fail"
    assert judged("cost_per_1k_requests < $0.02", evidence_of(rows, prices=prices)).verdict == "pass"
    powered = replace(prices, kwh=0.18)
    assert judged(text, evidence_of(rows, prices=powered)).verdict == "invalid"
    found = judged(text, evidence_of(rows, prices=powered, values={"energy_j": 3.6e6}))
    assert found.observed == pytest.approx((0.06 + 0.18) / 6000 * 1000)
    assert judged(text, evidence_of(rows)).verdict == "invalid"


def test_a_burn_rate_is_judged_in_each_window_against_the_one_objective():
    rows = [outcomes(s, **({"ok": 90, "http_500": 10} if 20 <= s < 30 else {"ok": 100})) for s in range(60)]
    text = "burn_rate < 6 over 10s"
    found = judged(text, evidence_of(rows), campaign_slos=["success_rate >= 99%"])
    assert (found.verdict, found.observed) == ("fail", pytest.approx(10.0))
    own = evidence_of(rows, slos=(parse("success_rate >= 90%", place="slos"),))
    assert judged(text, own, campaign_slos=["success_rate >= 99%"]).verdict == "pass"
    assert judged(text, evidence_of(rows)).verdict == "invalid"


def test_two_burn_windows_are_breached_only_together():
    rows = [outcomes(s, **({"ok": 80, "http_500": 20} if 30 <= s < 34 else {"ok": 100})) for s in range(60)]
    slos = ["success_rate >= 99%"]
    assert judged("burn_rate < 6 over 30s and 4s", evidence_of(rows), campaign_slos=slos).verdict == "pass"
    assert judged("burn_rate < 2 over 30s and 4s", evidence_of(rows), campaign_slos=slos).verdict == "fail"


def test_what_was_measured_elsewhere_is_looked_up_and_its_absence_is_invalid():
    evidence = evidence_of([], kind="search", values={"max_rate": 5200.0, "max(target.rss)": 2e9})
    assert judged("max_rate >= 5000/s", evidence).verdict == "pass"
    assert judged("max(target.rss) < 1GiB", evidence).verdict == "fail"
    found = judged("p95(host.cpu) < 80%", evidence)
    assert (found.verdict, found.why) == ("invalid", "p95(host.cpu) is asked for and was not measured")


def traffic_with_hang(*, back_at):
    calm = {"latency": {0.99: 0.1}}
    stalled = {"latency": {0.99: 3.0}}
    return tuple(
        Second(s, outcomes={"ok": 60}, quantiles=stalled if 30 <= s < back_at else calm) for s in range(60)
    )


HANG = FaultSpan("hang", "pause-process", injected_s=30.0, reverted_s=32.0)


def test_recovery_is_measured_from_the_revert():
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


def test_traffic_that_never_came_back_is_a_fail_with_the_time_that_it_had():
    found = judged(
        "recovery < 5s",
        evidence_of(traffic_with_hang(back_at=60), faults=(HANG,)),
        place="expect",
        fault="hang",
    )
    assert (found.verdict, found.observed) == ("fail", None)
    assert "28 s after the revert" in found.why


def test_a_margin_smaller_than_the_clocks_doubt_is_invalid():
    unsure = replace(HANG, uncertainty_s=0.5)
    rows = traffic_with_hang(back_at=37)
    found = judged("recovery < 5.2s", evidence_of(rows, faults=(unsure,)), place="expect", fault="hang")
    assert found.verdict == "invalid"


def test_of_several_observed_activities_the_worst_verdict_counts():
    good = evidence_of(traffic_with_hang(back_at=34), faults=(HANG,))
    bad = replace(evidence_of(traffic_with_hang(back_at=40), faults=(HANG,)), activity="other")
    found = judge_observed(
        parse("recovery < 5s", place="expect"), [good, bad], campaign_slos=(), validity=Limits(), fault="hang"
    )
    assert (found.verdict, found.activity) == ("fail", "hang")
    assert found.why.startswith("on other:")
    with pytest.raises(ValueError, match="observes no activity"):
        judge_observed(
            parse("recovery < 5s", place="expect"), [], campaign_slos=(), validity=Limits(), fault="hang"
        )


def test_an_expectation_is_judged_over_the_faults_span():
    text = "success_rate >= 90%"
    rows = [outcomes(s, **({"http_503": 100} if 30 <= s < 32 else {"ok": 100})) for s in range(60)]
    found = judged(text, evidence_of(rows, faults=(HANG,)), place="expect", fault="hang")
    assert (found.verdict, found.samples) == ("fail", 200)
    with pytest.raises(ValueError, match="must be named"):
        judged(text, evidence_of(rows, faults=(HANG,)), place="expect")


def test_alerts_that_nobody_asked_for_are_invalid():
    text = "alert(ReplicaDown) fires within 120s"
    found = judged(text, evidence_of([], faults=(HANG,)), place="expect", fault="hang")
    assert (found.verdict, found.bound) == ("invalid", 120.0)


ORDER = {"pass": 0, "inconclusive": 1, "fail": 2}


@given(
    overs=st.lists(st.integers(0, 20), min_size=30, max_size=60),
    extra=st.integers(0, 80),
)
@settings(deadline=None, max_examples=60)
def test_spoiling_every_second_alike_never_makes_a_better_verdict(overs, extra):
    """One more over in every second adds no clustering, so it can only be worse."""
    text = "p90(latency) < 250ms"
    span = (0, len(overs))
    before = judged(
        text, evidence_of(seconds_of(text, over=lambda s: overs[s], span=span), duration_s=len(overs))
    )
    after = judged(
        text, evidence_of(seconds_of(text, over=lambda s: overs[s] + extra, span=span), duration_s=len(overs))
    )
    if before.verdict == "fail":
        assert after.verdict == "fail"
    if after.verdict == "pass":
        assert ORDER[before.verdict] <= ORDER["inconclusive"]


@given(order=st.permutations(range(40)), spoilt=st.sets(st.integers(0, 39), max_size=3))
@settings(deadline=None, max_examples=30)
def test_the_order_in_which_rows_arrive_does_not_matter(order, spoilt):
    rows = seconds_of(QUANTILE, over=lambda s: 1 if s in spoilt else 0, span=(0, 40))
    mixed = [rows[place] for place in order]
    assert judged(QUANTILE, evidence_of(mixed, duration_s=40.0)) == judged(
        QUANTILE, evidence_of(rows, duration_s=40.0)
    )


def test_a_fault_on_several_hosts_is_judged_from_the_first_injection_to_the_last_revert():
    text = "success_rate >= 90% during hang"
    hosts = (HANG, replace(HANG, injected_s=33.0, reverted_s=36.0))
    found = judged(text, evidence_of([outcomes(s, ok=100) for s in range(60)], faults=hosts))
    assert (found.verdict, found.samples) == ("pass", 600)
    failed = (HANG, replace(HANG, took_effect=False, why="no such pid"))
    assert (
        judged(text, evidence_of([outcomes(s, ok=100) for s in range(60)], faults=failed)).verdict
        == "invalid"
    )
