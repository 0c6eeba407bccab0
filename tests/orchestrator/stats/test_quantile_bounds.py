import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stats.quantile_bounds import Sample, claim, limits, needed, smallest_n, supports

OVERS = (0, 1, 2, 5, 10, 20, 50, 100)
SMALLEST = {
    0.9: (44, 64, 81, 127, 197, 325, 681, 1246),
    0.95: (90, 130, 165, 259, 398, 656, 1372, 2504),
    0.99: (459, 662, 838, 1307, 2010, 3304, 6898, 12571),
    0.999: (4603, 6636, 8403, 13105, 20140, 33097, 69058, 125826),
}
VECTORS = [(q, t, n) for q, row in SMALLEST.items() for t, n in zip(OVERS, row, strict=True)]
ORDER = {"pass": 0, "inconclusive": 1, "fail": 2}


@pytest.mark.parametrize(("quantile", "over", "n"), VECTORS)
def test_the_smallest_n_that_passes_is_the_one_of_the_table(quantile, over, n):
    assert smallest_n(over=over, quantile=quantile) == n
    assert claim(Sample(n=n, over=over), quantile=quantile) == "pass"
    assert claim(Sample(n=n - 1, over=over), quantile=quantile) == "inconclusive"


def test_a_share_far_beyond_the_bound_fails():
    assert claim(Sample(n=1000, over=100), quantile=0.99) == "fail"
    assert claim(Sample(n=1000, over=1000), quantile=0.99) == "fail"


def test_nothing_seen_is_inconclusive_and_needs_what_a_clean_run_needs():
    assert claim(Sample(n=0, over=0), quantile=0.99) == "inconclusive"
    assert needed(Sample(n=0, over=0), quantile=0.99) == 459


def test_six_hundred_requests_support_99_2_percent_and_need_4003_more_for_99_9():
    sample = Sample(n=600, over=0)
    assert supports(sample) == pytest.approx(0.99235, abs=1e-5)
    assert claim(sample, quantile=0.999) == "inconclusive"
    assert needed(sample, quantile=0.999) == 4003


def test_no_run_settles_a_share_that_sits_on_the_bound():
    assert needed(Sample(n=600, over=6), quantile=0.99) is None


def test_clustered_requests_are_worth_less():
    assert claim(Sample(n=4590, over=0), quantile=0.99) == "pass"
    assert claim(Sample(n=4590, over=0, deff=10.1), quantile=0.99) == "inconclusive"
    assert Sample(n=4590, over=0, deff=10).effective == 459


def test_a_fault_span_is_counted_whole_and_not_as_chance():
    outside = limits(Sample(n=1000, over=2))
    mixed = limits(Sample(n=1000, over=2, whole_n=100, whole_over=50))
    assert mixed.upper == pytest.approx((50 + 1000 * outside.upper) / 1100)
    assert mixed.lower == pytest.approx((50 + 1000 * outside.lower) / 1100)


def test_a_fault_span_that_uses_up_the_whole_allowance_fails():
    assert claim(Sample(n=1000, over=0, whole_n=100, whole_over=50), quantile=0.99) == "fail"
    assert claim(Sample(n=0, over=0, whole_n=1000, whole_over=10), quantile=0.99) == "pass"
    assert claim(Sample(n=0, over=0, whole_n=1000, whole_over=11), quantile=0.99) == "fail"


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no count"):
        Sample(n=5, over=6)
    with pytest.raises(ValueError, match="not between"):
        smallest_n(over=0, quantile=1.0)


samples = st.builds(
    lambda n, share, deff, whole_n, whole_share: Sample(
        n=n, over=n * share, deff=deff, whole_n=whole_n, whole_over=whole_n * whole_share
    ),
    n=st.floats(1, 1e6),
    share=st.floats(0, 1),
    deff=st.floats(1, 100),
    whole_n=st.floats(0, 1e4),
    whole_share=st.floats(0, 1),
)
quantiles = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999])


@given(sample=samples, more=st.floats(0, 1), quantile=quantiles)
@settings(deadline=None)
def test_more_over_the_bound_never_makes_a_better_claim(sample, more, quantile):
    worse = Sample(
        n=sample.n,
        over=sample.over + (sample.n - sample.over) * more * 0.999,
        deff=sample.deff,
        whole_n=sample.whole_n,
        whole_over=sample.whole_over,
    )
    assert ORDER[claim(worse, quantile=quantile)] >= ORDER[claim(sample, quantile=quantile)]


@given(sample=samples, quantile=quantiles)
@settings(deadline=None)
def test_the_claim_agrees_with_the_printed_limits(sample, quantile):
    found = limits(sample)
    verdict = claim(sample, quantile=quantile)
    slack = 1e-7
    if verdict == "pass":
        assert found.upper <= 1 - quantile + slack
    elif verdict == "fail":
        assert found.lower >= 1 - quantile - slack
    else:
        assert found.upper >= 1 - quantile - slack
        assert found.lower <= 1 - quantile + slack


@given(over=st.integers(0, 30), n=st.integers(31, 5000), quantile=quantiles)
@settings(deadline=None, max_examples=50)
def test_as_many_more_as_are_said_to_be_needed_settle_the_claim(over, n, quantile):
    sample = Sample(n=n, over=over)
    more = needed(sample, quantile=quantile)
    if more is None:
        assert claim(sample, quantile=quantile) == "inconclusive"
        return
    larger = Sample(n=n + more, over=over * (n + more) / n)
    assert claim(larger, quantile=quantile) != "inconclusive"
    assert (more == 0) == (claim(sample, quantile=quantile) != "inconclusive")
