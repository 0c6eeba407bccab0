"""What a fleet's engines can carry, as `doctor --calibrate` measured their hosts: shards, and words. Pure.

An engine uses one core. What it can do was measured with small requests that are answered at once, so it is a
ceiling: large bodies, TLS or tokens of streams take their part.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.plan import ActivityPlan
from workers.contract.calibration import Calibration
from workers.contract.facts import WorkerCard
from workers.contract.schedule import ClosedArrivals, OpenArrivals, peak_per_s

PER_S, AT_ONCE = "/s", " streams at once"
HEADROOM = 0.8
"""`shards: auto` gives an engine no more than this part of what it kept up with."""


def shards_needed(activity: ActivityPlan, cards: Sequence[WorkerCard]) -> int:
    """Into how many shards the peak has to be split so that each engine keeps up; 0 where nobody knows.

    Of an open loop the requests at its peak, of a closed one that streams its users; `cards`: who may run it.
    The slowest calibrated host counts for all.
    """
    known = [card.calibration for card in cards if card.calibration is not None]
    peak, unit = peak_of(activity)
    if isinstance(activity.arrivals, OpenArrivals):  # a stream takes at least what a request does
        peak, unit = peak_per_s(activity.arrivals), PER_S
    one = _one_engine(unit, known)
    return math.ceil(peak / (one * HEADROOM)) if peak and one else 0


def good_to(activity: ActivityPlan, cards: Sequence[WorkerCard]) -> float | None:
    """Up to which peak the shards keep up, in the unit of `peak_of`; None where a host was not calibrated.

    `cards`: of the workers that run the shards, one entry a shard. Each takes the same part of the load, so
    the slowest decides.
    """
    known = [card.calibration for card in cards if card.calibration is not None]
    if not cards or len(known) < len(cards):
        return None
    return _one_engine(peak_of(activity)[1], known) * len(cards) or None


def peak_of(activity: ActivityPlan) -> tuple[float, str]:
    """The most that an activity offers, and its unit: PER_S, or AT_ONCE where its target streams.

    0 where nobody knows beforehand: how many streams of an open loop there are at once is the target's doing.
    """
    match activity.arrivals:
        case OpenArrivals() if not activity.streams:
            return peak_per_s(activity.arrivals), PER_S
        case ClosedArrivals() if activity.streams:
            return float(activity.arrivals.users), AT_ONCE
        case _:
            return 0.0, AT_ONCE if activity.streams else PER_S


def engines_that_fit(cards: Iterable[WorkerCard], free: Mapping[str, int]) -> int:
    """How many engines have a slot and a core of their own. `free`: worker -> free slots."""
    slots: dict[str, int] = {}
    cores: dict[str, int] = {}
    for card in cards:
        slots[card.host] = slots.get(card.host, 0) + max(0, free.get(card.worker, 0))
        cores[card.host] = max(cores.get(card.host, 0), card.cores)
    return sum(min(count, cores[host] or count) for host, count in slots.items())


def words_of(activity: ActivityPlan, cards: Sequence[WorkerCard]) -> str:
    """What is to be said of a placed activity beside its shards; empty where nothing was calibrated."""
    most = good_to(activity, cards)
    peak, unit = peak_of(activity)
    if most is None or not isinstance(activity.arrivals, OpenArrivals | ClosedArrivals):
        return ""
    return beyond(peak, most, unit) or f"good to about {round_down(most):,}{unit} here"


def beyond(peak: float, most: float, unit: str) -> str:
    """In words, that a peak is more than its engines keep up with; empty where it is not."""
    if peak <= most:
        return ""
    return (
        f"the peak of {peak:,.0f}{unit} is beyond the about {round_down(most):,}{unit} that these engines "
        "keep up with, as calibrated: give it more shards, with a core each"
    )


def round_down(value: float) -> int:
    """Two digits, never more than was measured: 3,047 is about 3,000."""
    digits = max(0, math.floor(math.log10(value)) - 1) if value >= 1 else 0
    return int(value // 10**digits * 10**digits)


def _one_engine(unit: str, known: Sequence[Calibration]) -> float:
    return min((float(one.streams) if unit == AT_ONCE else one.requests_per_s for one in known), default=0.0)
