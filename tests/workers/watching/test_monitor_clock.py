import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.watching.monitor_clock import MonitorClock


def test_nothing_heard_is_no_offset():
    clock = MonitorClock()
    assert (clock.known, clock.offset_s, clock.common(5.0)) == (False, 0.0, 5.0)


def test_one_answer_bounds_the_offset_from_both_sides():
    clock = MonitorClock()
    clock.heard(107.0, sent_s=99.9, came_s=100.1, step_s=0.0)
    assert clock.offset_s == pytest.approx(7.0)
    assert clock.uncertainty_s == pytest.approx(0.1)
    assert clock.common(207.0) == pytest.approx(200.0)
    assert clock.common(0.0) == 0.0


@given(
    offset_s=st.floats(-1e6, 1e6),
    moments=st.lists(st.tuples(st.floats(0, 50), st.floats(0.001, 0.5), st.floats(0.001, 0.5)), min_size=1),
)
def test_whole_seconds_heard_again_and_again_never_exclude_the_truth(offset_s, moments):
    clock = MonitorClock()
    for at_s, before_s, after_s in moments:
        said_s = float(int(1e9 + at_s + offset_s))
        clock.heard(said_s, sent_s=1e9 + at_s - before_s, came_s=1e9 + at_s + after_s, step_s=1.0)
    assert abs(clock.offset_s - offset_s) <= clock.uncertainty_s + 1e-6


def test_a_minute_of_date_headers_tells_tenths_of_a_second():
    clock = MonitorClock()
    for number in range(40):
        at_s = 1000.0 + number * 1.037
        clock.heard(float(int(at_s + 3.3)), sent_s=at_s - 0.002, came_s=at_s + 0.002, step_s=1.0)
    assert clock.offset_s == pytest.approx(3.3, abs=0.1)
    assert clock.uncertainty_s < 0.1


def test_a_clock_that_was_set_begins_anew():
    clock = MonitorClock()
    clock.heard(100.0, sent_s=99.99, came_s=100.01)
    clock.heard(161.0, sent_s=100.99, came_s=101.01)
    assert clock.offset_s == pytest.approx(60.0, abs=0.02)
