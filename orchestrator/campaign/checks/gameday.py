"""Game day: a window in a time zone that exists, approvals of phases by roles (CAMPAIGN.md section 9)."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import Campaign, GameDay, Window


def check_gameday(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with `gameday`."""
    day = campaign.gameday
    if day is None:
        return
    if day.window is not None:
        yield from _window(day.window)
    elif day.blackout:
        hint = "its timezone says where those days begin"
        yield Finding(("gameday", "blackout"), "needs a `window`", hint)
    yield from _approvals(day, [phase.name for phase in campaign.phases])


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


def _approvals(day: GameDay, phases: list[str]) -> Iterator[Finding]:
    for name, approval in day.approvals.items():
        path = ("gameday", "approvals", name)
        if name not in phases:
            yield Finding(path, f"there is no phase {name!r}", nearest(name, phases))
        if approval.by not in day.roles:
            yield Finding(
                (*path, "by"), f"there is no role {approval.by!r}", nearest(approval.by, list(day.roles))
            )
