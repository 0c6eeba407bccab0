"""What a fleet's engines can carry, as `doctor --calibrate` measured their hosts: shards, and words. Pure.

An engine uses one core. What it can do was measured with small requests that are answered at once, so it is a
ceiling: large bodies, TLS or tokens of streams take their part.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.placement.eligible import Rules
from orchestrator.plan import ActivityPlan
from workers.contract.addresses import apart, limit_at
from workers.contract.calibration import Calibration
from workers.contract.facts import WorkerCard
from workers.contract.schedule import ClosedArrivals, OpenArrivals, peak_per_s

PER_S, AT_ONCE = "/s", " streams at once"
ROUNDED = 1 + 1e-9
HEADROOM = 0.8
"""`shards: auto` gives an engine no more than this part of what it kept up with."""


def shards_needed(activity: ActivityPlan, cards: Sequence[WorkerCard]) -> int:
    """Into how many shards the peak has to be split so that each engine keeps up; 0 where nobody knows.

    Of an open loop the requests at its peak, of a closed one that streams its users; `cards`: who may run it.
    The slowest calibrated host counts for all.
    """
    known = [card.calibration for card in cards if card.calibration is not None]
    peak, unit = demand_of(activity)
    one = _one_engine(unit, known)
    return math.ceil(peak / (one * HEADROOM)) if peak and one else 0


def demand_of(activity: ActivityPlan) -> tuple[float, str]:
    """What its engines must carry at its peak, and the unit; 0 where nobody knows beforehand."""
    if isinstance(activity.arrivals, OpenArrivals):  # a stream takes at least what a request does
        return peak_per_s(activity.arrivals), PER_S
    return peak_of(activity)


def too_small(activity: ActivityPlan, of: int, cards: Iterable[WorkerCard], rules: Rules) -> dict[str, str]:
    """Worker -> why one slot of it cannot carry one of `of` shards, in words; of those that cannot.

    By the calibration of its host, unless others used the host meanwhile, where the rules ask for that; and
    by the limit that its own operator set, which its engines keep whatever is offered.
    """
    peak, unit = demand_of(activity)
    if not peak or not activity.needs_engine:
        return {}
    each = peak / of
    found: dict[str, str] = {}
    for card in cards:
        known = card.calibration if rules.sized else None
        most = 0.0 if known is None or known.disturbed else _one_engine(unit, [known])
        limit = _own_limit(activity, card, rules) if unit == PER_S and card.target_limits else None
        if limit is not None and each > limit * ROUNDED:
            why = f"{card.worker} may send {activity.address} {limit:g}/s a slot, as its operator says"
        elif most and each > most * ROUNDED:
            why = f"an engine of {card.worker} keeps up with {round_down(most):,}{unit}, as calibrated"
        else:
            continue
        found[card.worker] = f"{why}, a shard has {each:,.6g}{unit}"
    return found


def _own_limit(activity: ActivityPlan, card: WorkerCard, rules: Rules) -> float | None:
    """Each slot has its part, so that all of the worker's engines together stay under it."""
    if not activity.address:
        return None
    leads_to = rules.leads_to.get(apart(activity.address)[0], ())
    limit = limit_at(activity.address, card.target_limits, leads_to=leads_to)
    return None if limit is None else limit / max(1, card.slots)


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
