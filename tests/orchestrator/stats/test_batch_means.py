import numpy as np
import pytest

from orchestrator.stats.batch_means import batch_means


def test_the_mean_is_over_requests_and_not_over_seconds():
    found = batch_means([10.0] * 30 + [1.0] * 10, [10] * 30 + [10] * 10)
    assert found is not None
    assert found.mean == pytest.approx((300 + 10) / 400)
    assert found.lower < found.mean < found.upper


def test_fewer_than_twenty_seconds_with_a_value_give_no_interval():
    assert batch_means([1.0] * 19, [1] * 19) is None
    assert batch_means([1.0] * 19 + [0.0] * 50, [1] * 19 + [0] * 50) is None


def test_a_constant_has_an_interval_of_no_width():
    found = batch_means([2.0] * 40, [4] * 40)
    assert found is not None
    assert (found.lower, found.mean, found.upper) == (0.5, 0.5, 0.5)


def test_the_interval_covers_the_true_mean_of_correlated_values_about_95_times_in_100():
    rng = np.random.default_rng(5)
    shocks = rng.standard_normal((400, 2000))
    values = np.zeros_like(shocks)
    for i in range(1, shocks.shape[1]):
        values[:, i] = 0.5 * values[:, i - 1] + shocks[:, i]
    covered = 0
    for row in values:
        found = batch_means(row.tolist(), [1] * row.size)
        assert found is not None
        covered += found.lower <= 0 <= found.upper
    assert 0.91 <= covered / 400 <= 0.985
