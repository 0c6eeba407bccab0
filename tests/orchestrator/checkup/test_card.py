"""A wrong time of day in words: how bad, which way, and when nothing can be said."""

import pytest

from orchestrator.checkup.card import clock_off


@pytest.mark.parametrize(
    ("offset_s", "uncertainty_s", "level", "words"),
    [
        (0.0005, 0.0001, "ok", "agrees with Redis's"),
        (0.004, 0.01, "ok", "agrees with Redis's"),
        (0.25, 0.001, "ok", "250.0 ms behind Redis's"),
        (-1.5, 0.001, "warning", "1.5 s ahead of Redis's"),
        (300.0, 0.001, "problem", "5.0 min behind Redis's"),
    ],
)
def test_a_clock_is_as_bad_as_it_is_wrong(offset_s, uncertainty_s, level, words):
    found, what, do = clock_off(offset_s, uncertainty_s)
    assert (found, what) == (level, words)
    assert bool(do) is (level != "ok")
