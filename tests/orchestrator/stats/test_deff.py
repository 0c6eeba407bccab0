"""Design effect: examples, and a simulation of the verdict's error rates.

Measured by `pass_rates` below (p99, 50 requests/s, the true share over the bound just at 1%):
see the table in docs/statistics.md.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stats.deff import autocorrelation, correlation_time, design_effect
from orchestrator.stats.quantile_bounds import Sample, claim


def test_with_nothing_over_no_cluster_can_be_seen():
    assert design_effect([100] * 60, [0] * 60) == 1.0


def test_with_everything_over_no_cluster_can_be_seen():
    assert design_effect([10] * 60, [10] * 60) == 1.0


def test_whole_seconds_over_are_worth_about_one_request_each():
    overs = [0.0] * 600
    for stalled in (50, 211, 222, 430, 555):
        overs[stalled] = 100
    assert design_effect([100] * 600, overs) == pytest.approx(100, rel=0.1)


def test_scattered_misses_are_not_discounted_much():
    rng = np.random.default_rng(1)
    overs = rng.binomial(100, 0.01, size=2000)
    assert design_effect([100] * 2000, overs.tolist()) == pytest.approx(1.0, abs=0.25)


def test_long_stalls_are_discounted_more_than_short_ones():
    short, long = [0.0] * 600, [0.0] * 600
    for start in range(0, 600, 120):
        short[start] = 50
    long[300:305] = [50] * 5
    assert design_effect([50] * 600, long) > 3 * design_effect([50] * 600, short)


def test_a_single_second_with_some_over_is_one_event():
    assert design_effect([0, 40, 0], [0, 3, 0]) == 40


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="one of each"):
        design_effect([1, 2], [1])


def test_a_constant_series_has_no_correlation_time():
    assert autocorrelation(np.ones(10)).size == 0
    assert correlation_time(np.ones(10)) == 1.0
    assert correlation_time(np.array([])) == 1.0


def test_the_correlation_time_of_a_known_process_is_found():
    rng = np.random.default_rng(7)
    phi, values = 0.8, np.zeros(20_000)
    for i, shock in enumerate(rng.standard_normal(values.size - 1), start=1):
        values[i] = phi * values[i - 1] + shock
    assert correlation_time(values) == pytest.approx((1 + phi) / (1 - phi), rel=0.15)


@given(
    seconds=st.lists(
        st.integers(0, 50).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
        min_size=1,
        max_size=60,
    )
)
def test_the_design_effect_is_at_least_one_and_finite(seconds):
    found = design_effect([n for n, _ in seconds], [t for _, t in seconds])
    assert 1 <= found < 1e6


def stalled_seconds(rng, *, runs, span_s, stall_s, share):
    """Which seconds are stalled: starts fall at random so that `share` of all seconds are, a row a run."""
    start = rng.random((runs, span_s + stall_s - 1)) < 1 - (1 - share) ** (1 / stall_s)
    reached = np.cumsum(start, axis=1)
    before = np.pad(reached, ((0, 0), (stall_s, 0)))[:, : reached.shape[1]]
    return (reached - before)[:, stall_s - 1 :] > 0


def pass_rates(*, stall_s, share, seed, runs=400, span_s=3600, rate=50):
    """Shares of runs that pass p99 with the design effect, and without it."""
    rng = np.random.default_rng(seed)
    counts = np.full(span_s, rate)
    stalled = stalled_seconds(rng, runs=runs, span_s=span_s, stall_s=stall_s, share=share)
    corrected = uncorrected = 0
    for row in stalled:
        overs = row * counts
        n, over = float(counts.sum()), float(overs.sum())
        deff = design_effect(counts.tolist(), overs.tolist())
        corrected += claim(Sample(n=n, over=over, deff=deff), quantile=0.99) == "pass"
        uncorrected += claim(Sample(n=n, over=over), quantile=0.99) == "pass"
    return corrected / runs, uncorrected / runs


def test_one_second_stalls_at_the_bound_pass_falsely_at_most_once_in_a_hundred():
    corrected, uncorrected = pass_rates(stall_s=1, share=0.01, seed=3, runs=1000)
    assert corrected <= 0.01
    assert uncorrected > 0.40


@pytest.mark.parametrize(("stall_s", "span_s"), [(5, 3600), (15, 14_400)])
def test_longer_stalls_keep_the_error_rate_where_the_span_holds_enough_of_them(stall_s, span_s):
    corrected, uncorrected = pass_rates(stall_s=stall_s, share=0.01, seed=3, runs=300, span_s=span_s)
    assert corrected <= 0.02
    assert uncorrected > 0.35


def test_a_good_service_still_passes_despite_rare_short_stalls():
    corrected, _ = pass_rates(stall_s=1, share=0.001, seed=3, runs=200)
    assert corrected > 0.99
