"""Windows and blackouts: whether phases with faults may run at a moment, and why not (CAMPAIGN.md section 9).

Moments are seconds of the common clock, which counts as the time of day does; days and hours are those of the
window's time zone, with its summer time.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.campaign.models import GameDay
from orchestrator.plan import PhasePlan, Plan

HALF_DAY_S: Final = 12 * 3600.0
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def refusal(day: GameDay | None, plan: Plan, *, now_s: float) -> str:
    """Why a campaign may not begin now, "" where it may: a blackout, or a phase with faults off its window.

    Each phase is looked at from when it would begin if all went as planned, without waiting.
    """
    if day is None or day.window is None or day.tabletop:
        return ""
    why = _blackout(day, now_s, now_s)
    at_s = now_s
    for phase in plan.phases:
        why = why or closed(day, phase, at_s=at_s)
        at_s += phase.duration_s
    return why


def closed(day: GameDay | None, phase: PhasePlan, *, at_s: float) -> str:
    """Why a phase may not begin at a moment; "" where it may, or where it has no faults."""
    if day is None or day.window is None or not has_faults(phase):
        return ""
    until_s = at_s + phase.duration_s
    why = _off_window(day, at_s, until_s) or _blackout(day, at_s, until_s)
    return f"phase {phase.name} has faults: {why}" if why else ""


def has_faults(phase: PhasePlan) -> bool:
    """Whether a phase injects anything."""
    return any(one.kind == "chaos" for one in phase.activities)


def window_words(day: GameDay) -> str:
    """The window for people: "tue, wed 09:30 to 16:00 Europe/Berlin"."""
    window = day.window
    if window is None:
        return "at any time"
    days = "every day" if len(set(window.days)) == len(DAYS) else ", ".join(window.days)
    return f"{days} {window.from_:%H:%M} to {window.to:%H:%M} {window.timezone}"


def until_words(until_s: float, *, asked_s: float, timezone: str = "") -> str:
    """Until when, for people: in UTC and by the window's clock; with its day where that may be another."""
    shape = "%H:%M:%S" if until_s - asked_s < HALF_DAY_S else "%a %Y-%m-%d %H:%M:%S"
    words = f"{datetime.fromtimestamp(until_s, UTC):{shape}} UTC"
    if timezone in ("", "UTC"):
        return words
    return f"{words} ({datetime.fromtimestamp(until_s, ZoneInfo(timezone)):%H:%M:%S} {timezone})"


def _off_window(day: GameDay, at_s: float, until_s: float) -> str:
    window = day.window
    assert window is not None  # noqa: S101  # asked by those who have one
    start, end = _local(day, at_s), _local(day, until_s)
    if DAYS[start.weekday()] not in window.days or not window.from_ <= start.time() <= window.to:
        return f"{start:%a %Y-%m-%d %H:%M} is outside the window ({window_words(day)})"
    if end.date() != start.date() or end.time() > window.to:
        return f"as planned it would end {end:%a %H:%M}, after the window ({window_words(day)})"
    return ""


def _blackout(day: GameDay, at_s: float, until_s: float) -> str:
    """The first day of a span that is blacked out, in words."""
    for today in _days(_local(day, at_s).date(), _local(day, until_s).date()):
        for first, last in day.blackout:
            if first <= today <= last:
                span = f"{first}..{last}" if first != last else f"{first}"
                zone = day.window.timezone if day.window is not None else ""
                return f"{today} is in the blackout {span} ({zone})"
    return ""


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _local(day: GameDay, at_s: float) -> datetime:
    assert day.window is not None  # noqa: S101  # the file's checks ask a blackout for a window
    return datetime.fromtimestamp(at_s, ZoneInfo(day.window.timezone))
