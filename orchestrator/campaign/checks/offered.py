"""How much several activities offer together, for the check against a target's `rate_limit`."""

from collections.abc import Sequence

from orchestrator.campaign.checks.walk import length_s
from orchestrator.campaign.models import LoadActivity, SoakActivity

# From, to (seconds of the phase), rate at the one and at the other; linear between.
_Piece = tuple[float, float, float, float]


def peak_together_per_s(activities: Sequence[LoadActivity | SoakActivity]) -> float:
    """The highest sum of planned rates at one time; closed loops and traces plan none and count as 0.

    Rates are linear between corners, so the highest sum stands at a corner, seen from one side of it.
    """
    plans = [_of_all_turns(one) for one in activities]
    corners = sorted({at for plan in plans for start, end, _, _ in plan for at in (start, end)})
    sums = [sum(_rate(plan, at, after=after) for plan in plans) for at in corners for after in (True, False)]
    return max(sums, default=0.0)


def _of_all_turns(activity: LoadActivity | SoakActivity) -> list[_Piece]:
    """Rates of requests: at worst each conversation has all its turns, and they come as evenly."""
    turns = 1 if activity.sessions is None else activity.sessions.turns
    return [(start, end, low * turns, high * turns) for start, end, low, high in _pieces(activity)]


def _pieces(activity: LoadActivity | SoakActivity) -> list[_Piece]:
    arrivals, length = activity.arrivals, length_s(activity)
    if arrivals.stages:
        pieces: list[_Piece] = []
        at, before = 0.0, 0.0
        for stage in arrivals.stages:
            ramp_end = at + stage.ramp
            pieces += [
                (at, ramp_end, before, stage.rate),
                (ramp_end, at + stage.for_, stage.rate, stage.rate),
            ]
            at, before = at + stage.for_, stage.rate
        return pieces
    if arrivals.rate is None or length is None:
        return []
    return [(0.0, arrivals.ramp, 0.0, arrivals.rate), (arrivals.ramp, length, arrivals.rate, arrivals.rate)]


def _rate(plan: list[_Piece], at: float, *, after: bool) -> float:
    """The planned rate just after, or just before, `at`."""
    for start, end, low, high in plan:
        inside = start <= at < end if after else start < at <= end
        if inside:
            return low + (high - low) * (at - start) / (end - start)
    return 0.0
