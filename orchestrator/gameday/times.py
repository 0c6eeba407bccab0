"""How long a team took over a fault: until it was noticed, until its harm ended, until all was well again.

TTD: from the injection to the first alert that began to fire, or the first person who said what they saw.
TTM: to the first step of the runbook that somebody did, or to the fault's end, whichever came first.
TTR: to the traffic's recovery (METRICS.md section 9). What the traffic alone shows is told beside TTD, since
nobody need have looked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

MINUTES_IN_30_D: Final = 30 * 24 * 60.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was noticed or done, and by whom or what; common time."""

    at_s: float
    by: str


@dataclass(frozen=True, slots=True)
class FaultMoments:
    """What is known of one fault; common time, None where it has not happened.

    `until_s`: what is said or done from then on belongs to the next fault (`belongs_until_s`). `felt_s`: the
    traffic's own sign.
    """

    injected_s: float
    until_s: float
    felt_s: float | None = None
    ended_s: float | None = None
    recovered_s: float | None = None
    alerts: Sequence[Event] = ()
    seen: Sequence[Event] = ()
    done: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the injection, None where it never happened; `detected_by` and `mitigated_by` in words."""

    felt_s: float | None
    alerted_s: float | None
    seen_s: float | None
    detected_s: float | None
    detected_by: str
    mitigated_s: float | None
    mitigated_by: str
    recovered_s: float | None


def times_of(fault: FaultMoments) -> Times:
    """TTD, TTM and TTR of a fault, with who or what made them."""
    alert = _first(fault, fault.alerts)
    person = _first(fault, fault.seen)
    noticed = _sooner(alert, person)
    step = _first(fault, fault.done)
    end = Event(fault.ended_s, "the fault's end") if fault.ended_s is not None else None
    harmless = _sooner(step, end)
    return Times(
        felt_s=_since(fault, fault.felt_s),
        alerted_s=_since(fault, alert.at_s if alert else None),
        seen_s=_since(fault, person.at_s if person else None),
        detected_s=_since(fault, noticed.at_s if noticed else None),
        detected_by=noticed.by if noticed else "",
        mitigated_s=_since(fault, harmless.at_s if harmless else None),
        mitigated_by=harmless.by if harmless else "",
        recovered_s=_since(fault, fault.recovered_s),
    )


def belongs_until_s(injected_s: float, over_s: float, others_s: Iterable[float]) -> float:
    """Until when what is said or done belongs to a fault: until the first that comes once it is over.

    `others_s`: when the other faults were injected. What happens while two faults act belongs to both, for
    nobody can tell them apart.
    """
    return min((at_s for at_s in others_s if at_s > injected_s and at_s >= over_s), default=inf)


def budget_minutes(bad_shares: Iterable[float]) -> float:
    """Minutes of full outage that one-second shares of bad requests amount to."""
    return sum(bad_shares) / 60.0


def allowed_minutes(objective: float) -> float:
    """Minutes of full outage that a success rate leaves in 30 days: 43.2 for 99.9%."""
    return (1.0 - objective) * MINUTES_IN_30_D


def _first(fault: FaultMoments, events: Sequence[Event]) -> Event | None:
    """The first that belongs to this fault."""
    mine = [one for one in events if fault.injected_s <= one.at_s < fault.until_s]
    return min(mine, key=lambda one: one.at_s, default=None)


def _sooner(one: Event | None, other: Event | None) -> Event | None:
    both = [event for event in (one, other) if event is not None]
    return min(both, key=lambda event: event.at_s, default=None)


def _since(fault: FaultMoments, at_s: float | None) -> float | None:
    return None if at_s is None else max(0.0, at_s - fault.injected_s)
