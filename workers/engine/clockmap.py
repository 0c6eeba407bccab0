"""Where the phase's second 0 lies on the monotonic clock, steered gently as clocks are measured again.

Pure. All times in nanoseconds; `phase` times count from second 0, `monotonic` ones are CLOCK_MONOTONIC.
"""

from dataclasses import dataclass

SLEW_PPM = 500
"""Fastest steering, in parts per million: 5 ms in 10 s, too little to bend a rate or a latency."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Steer:
    """Second 0 stood at `start_ns` when the clock showed `at_ns`, and moves to `goal_ns` at SLEW_PPM."""

    start_ns: int
    goal_ns: int
    at_ns: int


def fixed(start_ns: int) -> Steer:
    """Second 0 at `start_ns`, not moving."""
    return Steer(start_ns, start_ns, start_ns)


def second_zero(steer: Steer, now_ns: int) -> int:
    """Monotonic time of the phase's second 0, as believed at `now_ns`."""
    way = steer.goal_ns - steer.start_ns
    if not way:
        return steer.goal_ns
    reach = max(now_ns - steer.at_ns, 0) * SLEW_PPM // _MILLION
    return steer.start_ns + max(-reach, min(way, reach))


def retimed(steer: Steer, *, goal_ns: int, now_ns: int) -> Steer:
    """Head for a newly measured second 0, from wherever the old steering had come to."""
    return Steer(second_zero(steer, now_ns), goal_ns, now_ns)


def phase_ns(steer: Steer, now_ns: int) -> int:
    """What the phase's clock shows at monotonic `now_ns`; negative before the start."""
    return now_ns - second_zero(steer, now_ns)


def monotonic_ns(steer: Steer, at_ns: int) -> int:
    """When the phase's clock shows `at_ns`: the inverse of `phase_ns`, to within a nanosecond."""
    way = steer.goal_ns - steer.start_ns
    if not way:
        return at_ns + steer.goal_ns
    arrived = at_ns + steer.goal_ns
    if (arrived - steer.at_ns) * SLEW_PPM >= abs(way) * _MILLION:
        return arrived
    ahead = at_ns + steer.start_ns - steer.at_ns
    if ahead <= 0:
        return at_ns + steer.start_ns
    slope = SLEW_PPM if way > 0 else -SLEW_PPM
    return steer.at_ns + ahead * _MILLION // (_MILLION - slope)
