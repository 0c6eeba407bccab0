from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.slo.evidence import CaseCounts, Prices, Second, SeriesSum
from orchestrator.slo.parse import parse

QUANTILE = "p99(latency) < 250ms"


def test_a_quantile_with_few_over_passes_and_says_with_which_limit(judged, evidence_of, seconds_of):
    found = judged(QUANTILE, evidence_of(seconds_of(QUANTILE, over=lambda s: s % 5 == 0)))
    assert found.verdict == "pass"
    assert (found.samples, found.bound, found.slo, found.activity) == (6000, 0.25, QUANTILE, "peak")
    assert found.why.startswith("0.2% of 6,000 requests were over 250 ms")
    assert "at most 1% may be (upper 99% limit 0.38%)" in found.why


def test_requests_over_a_bound_because_they_failed_are_told_from_slow_ones(judged, evidence_of, seconds_of):
    rows = [
        replace(row, outcomes={"ok": 96, "http_503": 3, "unsent_target": 1})
        for row in seconds_of(QUANTILE, over=lambda s: 5)
    ]
    assert (
        "were over 250 ms, 240 of them because they failed; at most"
        in judged(QUANTILE, evidence_of(rows)).why
    )
    assert "failed" not in judged("p99(itl) < 250ms", evidence_of(seconds_of("p99(itl) < 250ms"))).why


def test_a_quantile_with_many_over_fails(judged, evidence_of, seconds_of):
    found = judged(QUANTILE, evidence_of(seconds_of(QUANTILE, over=lambda s: 5)))
    assert found.verdict == "fail"
    assert "5% of 6,000 requests" in found.why


def test_six_hundred_requests_cannot_carry_three_nines_and_it_says_what_could(
    judged, evidence_of, seconds_of
):
    text = "p99.9(latency) < 250ms"
    found = judged(text, evidence_of(seconds_of(text, n=10)))
    assert found.verdict == "inconclusive"
    assert "600 requests support 99.2%, not 99.9%" in found.why
    assert "4,003 requests more would settle it (6.67 min at this rate)" in found.why


def test_whole_stalled_seconds_are_worth_one_request_each(judged, evidence_of, seconds_of):
    rows = seconds_of(QUANTILE, over=lambda s: 100 if s == 30 else 0)
    found = judged(QUANTILE, evidence_of(rows))
    assert found.verdict == "inconclusive"
    assert found.effective_samples == pytest.approx(60, rel=0.1)
    assert "independent" in found.why


def test_during_a_stage_its_own_rows_are_judged(judged, evidence_of, seconds_of):
    text = "p95(latency) < 150ms during twice-peak"
    rows = seconds_of(text, over=lambda s: 30 if 20 <= s < 40 else 0)
    evidence = evidence_of(rows, stages={"twice-peak": (20.0, 40.0)})
    assert (judged(text, evidence).verdict, judged(text, evidence).samples) == ("fail", 2000)


def test_every_window_is_judged_alone(judged, evidence_of, seconds_of):
    text = "p90(latency) < 500ms over 20s"
    rows = seconds_of(text, over=lambda s: 30 if 20 <= s < 40 else 0)
    found = judged(text, evidence_of(rows))
    assert found.verdict == "fail"
    assert "1 of 3 windows fail" in found.why
    assert "between 20 s and 40 s" in found.why
    assert judged("p90(latency) < 500ms", evidence_of(rows)).verdict != "pass"


def test_a_rest_shorter_than_half_a_window_joins_the_one_before(judged, evidence_of, outcomes):
    text = "rate > 0/s over 25s"
    found = judged(text, evidence_of([outcomes(s, ok=10) for s in range(60)]))
    assert "2 of 2 windows pass" in found.why


def test_the_warm_up_is_in_no_window(judged, evidence_of, outcomes):
    text = "rate >= 10/s over 10s"
    rows = [outcomes(s, ok=10) for s in range(20, 60)]
    found = judged(text, evidence_of(rows, warmup_s=20.0))
    assert (found.verdict, found.observed) == ("pass", 10.0)
    assert "4 of 4 windows" in found.why


def test_only_rows_with_the_tag_are_judged(judged, evidence_of, outcomes):
    text = "always(http_4xx) for mutation=wrong-type"
    tagged = (outcomes(0, http_400=3, http_422=1),)
    evidence = evidence_of([outcomes(0, ok=5)], groups={"mutation=wrong-type": tagged}, kind="regression")
    assert (judged(text, evidence).verdict, judged(text, evidence).samples) == ("pass", 4)
    missing = judged(text, evidence_of([outcomes(0, ok=5)]))
    assert missing.verdict == "inconclusive"


def test_never_and_always_are_a_census_and_say_what_broke_them(judged, evidence_of, outcomes):
    rows = [outcomes(0, ok=990, http_503=2, timeout=1, unsent_generator=4)]
    found = judged("never(http_5xx, timeout)", evidence_of(rows))
    assert (found.verdict, found.samples, found.observed) == ("fail", 993, 3.0)
    assert "2 × http_503" in found.why
    assert judged("never(http_4xx, reset)", evidence_of(rows)).verdict == "pass"
    assert judged("always(ok)", evidence_of(rows)).verdict == "fail"
    assert judged("always(ok)", evidence_of([])).verdict == "inconclusive"
    assert judged("never(unsent)", evidence_of([outcomes(0, ok=9, unsent_target=1)])).verdict == "fail"
    assert judged("never(unsent)", evidence_of(rows)).verdict == "pass"


def test_target_unsent_counts_against_success_and_generator_unsent_does_not(judged, evidence_of, outcomes):
    rows = [outcomes(s, ok=96, unsent_target=4, unsent_generator=50) for s in range(60)]
    found = judged("success_rate >= 99%", evidence_of(rows))
    assert (found.verdict, found.observed, found.samples) == ("fail", pytest.approx(0.96), 6000)


def test_goodput_is_the_share_that_meets_every_limit(judged, evidence_of, seconds_of):
    text = "goodput(ttft < 500ms, tpot < 50ms) >= 90%"
    found = judged(text, evidence_of(seconds_of(text, over=lambda s: 3)))
    assert (found.verdict, found.observed) == ("pass", pytest.approx(0.97))
    assert judged(text, evidence_of(seconds_of(text, over=lambda s: 30))).verdict == "fail"


def test_a_lower_limit_on_a_quantile_is_the_mirror_of_the_upper_one(judged, evidence_of, seconds_of):
    text = "p50(latency) > 100ms"
    assert judged(text, evidence_of(seconds_of(text, over=lambda s: 90))).verdict == "pass"
    assert judged(text, evidence_of(seconds_of(text, over=lambda s: 10))).verdict == "fail"


def test_a_fail_that_the_generator_made_is_invalid(judged, evidence_of, seconds_of):
    rows = seconds_of(QUANTILE, over=lambda s: 5, less=lambda s: 0)
    found = judged(QUANTILE, evidence_of(rows))
    assert found.verdict == "invalid"
    assert "without the generator's own delay it would not fail" in found.why


def test_a_latency_pass_stands_despite_a_late_generator_with_a_note(judged, evidence_of, seconds_of):
    found = judged(QUANTILE, evidence_of(seconds_of(QUANTILE), lag_p99_s=0.03))
    assert found.verdict == "pass"
    assert "lag p99 30 ms" in found.why


@pytest.mark.parametrize(
    "text",
    ["p99(itl) < 50ms", "p99(service_time) < 1s", "goodput(tpot < 50ms) >= 90%", "success_rate >= 99%"],
)
def test_a_pass_that_a_late_generator_could_have_made_is_inconclusive(text, judged, evidence_of, seconds_of):
    rows = seconds_of(text)
    assert judged(text, evidence_of(rows)).verdict == "pass"
    found = judged(text, evidence_of(rows, hub_delay_p99_s=0.05))
    assert found.verdict == "inconclusive"
    assert "hub delay p99 50 ms" in found.why


def test_a_quantile_that_nothing_was_counted_for_is_inconclusive(judged, evidence_of, outcomes):
    found = judged("p99(ttft) < 1s", evidence_of([outcomes(s, ok=10) for s in range(60)]))
    assert (found.verdict, found.samples) == ("inconclusive", 0)
    assert "ttft" in found.why


def test_the_shown_quantile_counts_failures_above_every_answer(judged, evidence_of, seconds_of):
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


def test_a_mean_is_judged_by_its_interval(judged, evidence_of):
    rows = sums_rows(lambda s: 0.1 + 0.05 * (s % 2))
    assert judged("mean(latency) < 200ms", evidence_of(rows)).verdict == "pass"
    assert judged("mean(latency) < 80ms", evidence_of(rows)).verdict == "fail"
    wild = sums_rows(lambda s: 0.1 if s % 9 else 2.0)
    found = judged("mean(latency) < 350ms", evidence_of(wild))
    assert found.verdict == "inconclusive"
    assert "inside the interval" in found.why
    short = judged("mean(latency) < 200ms", evidence_of(rows[:15]))
    assert short.verdict == "inconclusive"


def test_a_mean_that_only_lag_made_too_high_is_invalid(judged, evidence_of):
    rows = sums_rows(lambda s: 0.1)
    assert judged("mean(latency) < 90ms", evidence_of(rows)).verdict == "invalid"


def test_the_greatest_value_is_compared_as_it_is(judged, evidence_of):
    rows = sums_rows(lambda s: 0.1)
    found = judged("max(service_time) < 150ms", evidence_of(sums_rows(lambda s: 0.1, series="service_time")))
    assert found.verdict == "invalid"
    assert judged("max(latency) <= 200ms", evidence_of(rows)).verdict == "pass"
    assert judged("min(latency) > 60ms", evidence_of(rows)).verdict == "fail"


def test_rates_are_per_second_of_the_judged_span(judged, evidence_of, outcomes):
    rows = [outcomes(s, ok=90, http_500=10) for s in range(60)]
    assert judged("rate >= 100/s", evidence_of(rows)).verdict == "pass"
    assert judged("throughput >= 91/s", evidence_of(rows)).verdict == "fail"
    half = judged("rate >= 100/s", evidence_of(rows[30:], warmup_s=30.0))
    assert half.observed == pytest.approx(100.0)


def test_absent_tokens_are_no_zero(judged, evidence_of):
    rows = [Second(s, outcomes={"ok": 10}, ok_tokens=240) for s in range(60)]
    assert judged("tokens_per_s >= 240", evidence_of(rows)).verdict == "pass"
    gap = [*rows[:-1], Second(59, outcomes={"ok": 10}, ok_tokens=216, tokens_absent=1)]
    assert judged("tokens_per_s >= 200", evidence_of(gap)).verdict == "inconclusive"


def test_golden_cases_are_a_census(judged, evidence_of):
    evidence = evidence_of([], kind="regression", regression=CaseCounts(24, 24, 23))
    assert judged("pass_rate >= 100%", evidence).verdict == "pass"
    found = judged("agreement >= 99%", evidence)
    assert (found.verdict, found.observed, found.samples) == ("fail", pytest.approx(23 / 24), 24)
    tagged = replace(evidence, groups={"length=long": ()}, cases={"length=long": CaseCounts(4, 3)})
    assert judged("pass_rate >= 100% for length=long", tagged).verdict == "fail"
    assert judged("pass_rate >= 100%", replace(evidence, regression=None)).verdict == "inconclusive"


def test_cost_is_of_machines_and_energy_over_ok_work(judged, evidence_of, outcomes):
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


def test_a_burn_rate_is_judged_in_each_window_against_the_one_objective(judged, evidence_of, outcomes):
    rows = [outcomes(s, **({"ok": 90, "http_500": 10} if 20 <= s < 30 else {"ok": 100})) for s in range(60)]
    text = "burn_rate < 6 over 10s"
    found = judged(text, evidence_of(rows), campaign_slos=["success_rate >= 99%"])
    assert (found.verdict, found.observed) == ("fail", pytest.approx(10.0))
    own = evidence_of(rows, slos=(parse("success_rate >= 90%", place="slos"),))
    assert judged(text, own, campaign_slos=["success_rate >= 99%"]).verdict == "pass"
    assert judged(text, evidence_of(rows)).verdict == "invalid"


def test_two_burn_windows_are_breached_only_together(judged, evidence_of, outcomes):
    rows = [outcomes(s, **({"ok": 80, "http_500": 20} if 30 <= s < 34 else {"ok": 100})) for s in range(60)]
    slos = ["success_rate >= 99%"]
    assert judged("burn_rate < 6 over 30s and 4s", evidence_of(rows), campaign_slos=slos).verdict == "pass"
    assert judged("burn_rate < 2 over 30s and 4s", evidence_of(rows), campaign_slos=slos).verdict == "fail"


def test_what_was_measured_elsewhere_is_looked_up_and_its_absence_is_invalid(judged, evidence_of):
    evidence = evidence_of([], kind="search", values={"max_rate": 5200.0, "max(target.rss)": 2e9})
    assert judged("max_rate >= 5000/s", evidence).verdict == "pass"
    assert judged("max(target.rss) < 1GiB", evidence).verdict == "fail"
    found = judged("p95(host.cpu) < 80%", evidence)
    assert (found.verdict, found.why) == ("invalid", "p95(host.cpu) is asked for and was not measured")


ORDER = {"pass": 0, "inconclusive": 1, "fail": 2}


@given(
    overs=st.lists(st.integers(0, 20), min_size=30, max_size=60),
    extra=st.integers(0, 80),
)
@settings(deadline=None, max_examples=60)
def test_spoiling_every_second_alike_never_makes_a_better_verdict(
    overs, extra, judged, evidence_of, seconds_of
):
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
def test_the_order_in_which_rows_arrive_does_not_matter(order, spoilt, judged, evidence_of, seconds_of):
    rows = seconds_of(QUANTILE, over=lambda s: 1 if s in spoilt else 0, span=(0, 40))
    mixed = [rows[place] for place in order]
    assert judged(QUANTILE, evidence_of(mixed, duration_s=40.0)) == judged(
        QUANTILE, evidence_of(rows, duration_s=40.0)
    )
