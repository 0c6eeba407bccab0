import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.charts import axis

TIMES = st.lists(st.floats(min_value=1e-6, max_value=1e5), min_size=1, max_size=20)


@given(TIMES)
def test_every_value_has_its_place_on_an_axis_with_few_labels(values):
    for made in (axis.from_zero(values), axis.fitting(values), axis.logarithmic(values)):
        assert made.low < made.high
        assert made.low <= min(values) * (1 + 1e-9)
        assert max(values) <= made.high * (1 + 1e-9)
        assert 2 <= len(made.ticks) <= 13
        assert all(0 <= made.place(value) <= 1 for value in values)


@given(TIMES)
def test_a_larger_value_never_stands_lower(values):
    made = axis.fitting(values)
    places = [made.place(value) for value in sorted(values)]
    assert places == sorted(places)


def test_values_far_apart_get_a_logarithmic_axis_and_alike_ones_start_at_zero():
    assert axis.fitting([0.05, 0.06]).low == 0.0
    assert axis.fitting([0.05, 2.0]).log is True


def test_an_axis_of_nothing_is_still_an_axis():
    assert axis.from_zero([]).high > 0
    assert axis.fitting([0.0]).high > 0


@pytest.mark.parametrize(
    ("span", "at_s", "text"),
    [((0, 60), 5, "0:05"), ((0, 900), 754, "12:34"), ((0, 28800), 12000, "3:20:00"), ((20, 60), -3, "-0:03")],
)
def test_time_is_written_as_a_clock(span, at_s, text):
    assert axis.clock_label(at_s, axis.seconds(*span)) == text


@given(st.floats(min_value=0, max_value=1e5), st.floats(min_value=1, max_value=200_000))
def test_a_time_axis_has_at_most_seven_round_labels_inside_it(from_s, length_s):
    made = axis.seconds(from_s, from_s + length_s)
    assert len(made.ticks) <= 7
    assert all(made.low - 1e-9 <= tick <= made.high + 1e-9 for tick in made.ticks)
