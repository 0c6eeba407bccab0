"""Game day: a window in a time zone that exists, approvals of phases by roles (CAMPAIGN.md section 9)."""

from collections.abc import Iterator
from datetime import time
from zoneinfo import ZoneInfo

from orchestrator.campaign.checks.targets import check_url
from orchestrator.campaign.checks.walk import traffic_s
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import Campaign, ChaosActivity, GameDay, Window


def check_gameday(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with `gameday`."""
    day = campaign.gameday
    if day is None:
        return
    if day.window is not None:
        yield from _window(day.window)
        yield from _fits(campaign, day.window)
    elif day.blackout:
        hint = "its timezone says where those days begin"
        yield Finding(("gameday", "blackout"), "needs a `window`", hint)
    if day.announce is not None:
        yield from check_url(("gameday", "announce"), day.announce)
    yield from _approvals(day, [phase.name for phase in campaign.phases])
    yield from _runbook(day, [phase.name for phase in campaign.phases])


def _window(window: Window) -> Iterator[Finding]:
    try:
        ZoneInfo(window.timezone)
    except (OSError, ValueError, KeyError):
        path = ("gameday", "window", "timezone")
        yield Finding(
            path, f"there is no time zone {window.timezone!r}", "say an IANA name, e.g. Europe/Berlin"
        )
    if window.from_ >= window.to:
        yield Finding(("gameday", "window", "to"), "the window ends before it begins")


def _fits(campaign: Campaign, window: Window) -> Iterator[Finding]:
    """A phase with faults begins and, as planned, ends inside the window, so it must not be longer."""
    window_s = _second_of_day(window.to) - _second_of_day(window.from_)
    for index, phase in enumerate(campaign.phases):
        length_s = traffic_s(phase)
        faults = any(isinstance(one, ChaosActivity) for one in phase.activities)
        if faults and length_s is not None and 0 < window_s < length_s:
            message = f"phase {phase.name} has faults and takes {length_s:g}s, the window only {window_s:g}s"
            yield Finding(("phases", index), message, "it could never run: widen gameday.window")


def _second_of_day(at: time) -> int:
    return (at.hour * 60 + at.minute) * 60 + at.second


def _approvals(day: GameDay, phases: list[str]) -> Iterator[Finding]:
    for name, approval in day.approvals.items():
        path = ("gameday", "approvals", name)
        if name not in phases:
            yield Finding(path, f"there is no phase {name!r}", nearest(name, phases))
        if approval.by not in day.roles:
            yield Finding(
                (*path, "by"), f"there is no role {approval.by!r}", nearest(approval.by, list(day.roles))
            )


def _runbook(day: GameDay, phases: list[str]) -> Iterator[Finding]:
    names: set[str] = set()
    for place, step in enumerate(day.runbook):
        path = ("gameday", "runbook", place)
        name = step.name or f"step-{place + 1}"
        if name in names:
            yield Finding(path, f"there are two steps {name!r}", "say another `name`: `done` ticks by it")
        names.add(name)
        if not step.text.strip() and not step.command.strip():
            yield Finding(path, "says nothing", "give it a `text` or a `command`")
        if step.by is not None and step.by not in day.roles:
            message = f"there is no role {step.by!r}"
            yield Finding((*path, "by"), message, nearest(step.by, list(day.roles)))
        if step.phase is not None and step.phase not in phases:
            message = f"there is no phase {step.phase!r}"
            yield Finding((*path, "phase"), message, nearest(step.phase, phases))
