"""What a campaign asks of people and of monitoring, as a plan tells it."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from orchestrator.campaign.checks.walk import monitor_of
from orchestrator.campaign.models import Campaign, GameDay, Silence
from orchestrator.campaign.watched import needs_of
from orchestrator.gameday.persons import holder
from orchestrator.gameday.roles import step_names
from orchestrator.gameday.windows import window_words
from orchestrator.slo.watched import gauge_name
from orchestrator.slo.words import seconds


@dataclass(frozen=True, slots=True)
class WatchPreview:
    """What is watched beside the traffic of a phase; `silences`: what Alertmanager keeps quiet meanwhile.

    `sources`: Prometheus and Alertmanager, HOST:PORT; nothing else of their addresses, which may be secret.
    """

    phase: str
    alerts: tuple[str, ...]
    gauges: tuple[str, ...]
    silences: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attended:
    """A game day's terms in words. `announce`: HOST:PORT of its webhook, "" for none."""

    tabletop: bool
    window: str
    blackout: tuple[str, ...]
    approvals: tuple[str, ...]
    announce: str
    steps: tuple[str, ...]
    hidden: int


def attended_of(campaign: Campaign) -> Attended | None:
    """The terms of a campaign's game day; None where it is none."""
    day = campaign.gameday
    if day is None:
        return None
    activities = [one for phase in campaign.phases for one in phase.activities]
    return Attended(
        tabletop=day.tabletop,
        window=window_words(day),
        blackout=tuple(f"{first}..{last}" if first != last else f"{first}" for first, last in day.blackout),
        approvals=tuple(_approvals(day)),
        announce=_place(day.announce or ""),
        steps=step_names(day),
        hidden=sum(getattr(one, "hidden", False) for one in activities),
    )


def watched_of(campaign: Campaign) -> tuple[WatchPreview, ...]:
    """What is watched, by phase; phases without anything are left out."""
    monitor = monitor_of(campaign)
    places = (monitor.prometheus, monitor.alertmanager) if monitor is not None else ()
    silenced = campaign.gameday.silence if campaign.gameday is not None else ()
    return tuple(
        WatchPreview(
            phase=phase.name,
            alerts=needs.alerts,
            gauges=tuple(gauge_name(name, gauge) for name, gauge in needs.gauges),
            silences=tuple(map(_silence, silenced)) if needs.silences else (),
            sources=tuple(_place(one) for one in places if one),
        )
        for phase in campaign.phases
        if (needs := needs_of(phase, campaign)).any
    )


def waits_for(campaign: Campaign, phase: str) -> str:
    """The approval that a phase waits for, in words; "" for none."""
    day = campaign.gameday
    approval = day.approvals.get(phase) if day is not None and not day.tabletop else None
    return f"approval by {approval.by} within {seconds(approval.within)}" if approval is not None else ""


def _approvals(day: GameDay) -> Iterator[str]:
    for phase, approval in day.approvals.items():
        who = holder(approval.by, day.roles.get(approval.by, ""))
        yield f"{phase} by {who} within {seconds(approval.within)}"


def _silence(one: Silence) -> str:
    """As Alertmanager has it: `alertname="X", severity="page"`."""
    named = (("alertname", "=", one.alert),) if one.alert is not None else ()
    return ", ".join(f'{label}{operator}"{value}"' for label, operator, value in (*named, *one.matchers))


def _place(url: str) -> str:
    """HOST:PORT of an address."""
    return urlsplit(url).netloc.rpartition("@")[2]
