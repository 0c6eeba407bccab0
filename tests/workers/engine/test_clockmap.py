"""The phase's clock on the monotonic one."""

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.clockmap import SLEW_PPM, Steer, fixed, monotonic_ns, phase_ns, retimed, second_zero

TIMES = st.integers(0, 10**15)
STEPS = st.integers(-(10**10), 10**10)


@given(TIMES, STEPS, TIMES)
def test_steering_never_moves_second_zero_faster_than_the_slew(start, step, after):
    steer = Steer(start, start + step, start)
    moved = second_zero(steer, start + after) - start
    assert abs(moved) <= after * SLEW_PPM / 1e6 + 1
    assert min(0, step) <= moved <= max(0, step)


@given(TIMES, STEPS, TIMES)
def test_the_two_directions_are_inverse_to_a_nanosecond(start, step, at):
    steer = Steer(start, start + step, start)
    assert abs(phase_ns(steer, monotonic_ns(steer, at)) - at) <= 1


@given(TIMES, STEPS, STEPS, st.integers(0, 10**12))
def test_a_new_measurement_does_not_make_the_clock_jump(start, step, other, after):
    steer = Steer(start, start + step, start)
    now = start + after
    assert second_zero(retimed(steer, goal_ns=start + other, now_ns=now), now) == second_zero(steer, now)


def test_five_milliseconds_take_ten_seconds():
    steer = retimed(fixed(0), goal_ns=5_000_000, now_ns=1_000_000_000)
    assert second_zero(steer, 6_000_000_000) == 2_500_000
    assert second_zero(steer, 11_000_000_000) == second_zero(steer, 99_000_000_000) == 5_000_000
