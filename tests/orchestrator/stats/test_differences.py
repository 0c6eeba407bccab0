import numpy as np
import pytest

from orchestrator.stats.differences import band, difference


def test_the_interval_covers_the_true_difference_about_95_times_in_100():
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        found = difference(rng.normal(0, 1, 30).tolist(), rng.normal(2, 3, 12).tolist())
        covered += found.lower <= 2 <= found.upper
    assert 0.92 <= covered / 400 <= 0.98


def test_one_window_gives_a_difference_and_no_interval():
    found = difference([1.0, 2.0], [5.0])
    assert (found.value, found.lower, found.upper) == (3.5, None, None)
    assert difference([], [1.0]) is None


def test_constants_differ_exactly():
    found = difference([1.0] * 5, [3.0] * 5)
    assert (found.lower, found.upper) == (2.0, 2.0)


def test_a_band_is_not_moved_by_one_wild_value():
    median, spread = band([10.0, 11.0, 9.0, 10.0, 12.0, 8.0, 500.0])
    assert median == 10.0
    assert spread == pytest.approx(3 * 1.4826)
    with pytest.raises(ValueError, match="needs values"):
        band([])
