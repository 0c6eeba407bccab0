"""How much an activity will offer, said before anything runs: requests, rates, levels of a search. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Final

from orchestrator.campaign.models import Activity, RegressionActivity, SearchActivity
from orchestrator.plan import ActivityPlan
from workers.contract.broker.connection import masked
from workers.contract.files.traces import Trace, is_coarse
from workers.contract.schedule import ClosedArrivals, OpenArrivals, cumulated, peak_per_s

MUTATED_AT_MOST: Final = 1000
"""Requests a mutator where the activity says no `limit`: CAMPAIGN.md section 7."""
ROUNDED_S: Final = 0.5e-9
"""An arrival that falls within half a nanosecond of the end is rounded onto it, hence out."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an activity offers.

    `requests` is the whole count where `exact`, else the expected one; None where only the run can tell.
    `in_warmup` of them are not judged. `peak_per_s`: highest planned rate. `note`: what no number says.
    """

    requests: float | None
    exact: bool = False
    in_warmup: float = 0.0
    peak_per_s: float | None = None
    note: str = ""


def offer_of(activity: ActivityPlan, model: Activity, *, cases: int | None) -> Offer:
    """What a planned activity offers. `cases`: of its golden file, None where it has none."""
    if isinstance(activity.arrivals, OpenArrivals):
        return _scheduled(activity.arrivals, activity)
    if isinstance(activity.arrivals, ClosedArrivals):
        return _looped(activity.arrivals, activity, code=getattr(model, "locustfile", None))
    if isinstance(model, RegressionActivity):
        return _cases(model, cases)
    if isinstance(model, SearchActivity):
        return _search(model)
    return Offer(None, note="as its trace says") if activity.is_load else Offer(0, exact=True)


def offered_between(arrivals: OpenArrivals, from_s: float, to_s: float) -> float:
    """Expected arrivals in [from, to); 0 where the span is empty."""
    return max(0.0, cumulated(arrivals, to_s) - cumulated(arrivals, from_s)) if to_s > from_s else 0.0


def rates(
    schedules: Sequence[tuple[OpenArrivals, int]], *, length_s: float, columns: int
) -> tuple[float, ...]:
    """The mean planned rate per second of all together, in `columns` equal parts of the phase.

    Each schedule stands with the requests that one of its arrivals makes: more than one for conversations.
    """
    width_s = length_s / columns
    edges = [column * width_s for column in range(columns + 1)]
    curves = [[cumulated(one, edge) * requests for edge in edges] for one, requests in schedules]
    return tuple(
        sum(curve[column + 1] - curve[column] for curve in curves) / width_s for column in range(columns)
    )


def search_levels(model: SearchActivity) -> int:
    """How many levels a search holds at most: both ends, then halvings down to the tolerance."""
    low, high = model.between
    return 2 + max(0, ceil(log2((high - low) / (model.tolerance * low)))) if model.tolerance else 2


def _scheduled(arrivals: OpenArrivals, activity: ActivityPlan) -> Offer:
    total = cumulated(arrivals, arrivals.duration_s)
    exact = arrivals.process in ("constant", "trace") and not activity.ends_with_data
    if arrivals.process == "constant":
        total = float(_constant(arrivals, arrivals.duration_s))
        early = float(_constant(arrivals, activity.warmup_s)) if activity.warmup_s else 0.0
    else:
        early = cumulated(arrivals, activity.warmup_s)
    notes = ["ends with its data, if that comes first"] if activity.ends_with_data else []
    notes += _recorded(arrivals.trace) if arrivals.trace is not None else []
    turns = max(1, activity.turns)
    if turns > 1:
        notes.insert(0, f"about {total:,.0f} conversations of up to {turns} turns")
    return Offer(
        total * turns,
        exact=exact and turns == 1,
        in_warmup=early * turns,
        peak_per_s=peak_per_s(arrivals) * turns,
        note="; ".join(notes),
    )


def _looped(arrivals: ClosedArrivals, activity: ActivityPlan, *, code: str | None) -> Offer:
    grows = f", their number growing over {arrivals.ramp_s:g} s" if arrivals.ramp_s else ""
    if code is not None:
        return Offer(None, note=f"{arrivals.users:,} users of {code}, which pace themselves{grows}")
    again = f" {arrivals.think_s:g} s after" if arrivals.think_s else " as soon as"
    begins, end = "sends again", "it has its answer"
    if activity.turns > 1:
        begins, end = f"begins another conversation of {activity.turns} turns", "its last one ended"
    return Offer(None, note=f"{arrivals.users:,} users, each {begins}{again} {end}{grows}")


def _recorded(trace: Trace) -> list[str]:
    speed = f" at {trace.speed:g} times its speed" if trace.speed != 1.0 else ""
    notes = [f"replays {masked(trace.name)}{speed}"]
    if is_coarse(trace):
        notes.append("its times are whole seconds, so its arrivals come in bursts")
    return notes


def _constant(arrivals: OpenArrivals, until_s: float) -> int:
    """Arrivals of a constant process before `until_s`: the k-th comes at the k-th unit of cumulated rate."""
    last_per_s = arrivals.segments[-1].to_per_s
    return max(0, ceil(cumulated(arrivals, until_s) - ROUNDED_S * last_per_s))


def _cases(model: RegressionActivity, cases: int | None) -> Offer:
    if model.probes is not None:
        return Offer(len(model.probes), exact=True, note=f"probes: {', '.join(model.probes)}")
    if cases is None:
        return Offer(None)
    if model.mutate is not None:
        each = min(cases, model.limit or MUTATED_AT_MOST)
        return Offer(each * len(model.mutate), note=f"up to {each:,} a mutator")
    note = f"as many more to {model.baseline}" if model.baseline else ""
    return Offer(cases, exact=True, note=note)


def _search(model: SearchActivity) -> Offer:
    low, high = model.between
    unit = "/s" if model.find == "max rate" else " users"
    note = (
        f"{low:,g} to {high:,g}{unit}, at most {search_levels(model)} levels "
        f"of {model.step:g} s (up to {4 * model.step:g} s where one is undecided)"
    )
    return Offer(None, peak_per_s=high if model.find == "max rate" else None, note=note)
