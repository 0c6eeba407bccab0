"""What is watched beside a phase's traffic, as its spec says it to the worker that does it."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from orchestrator.campaign.checks.walk import monitor_of, target_of, traffic_s
from orchestrator.campaign.composing import span_of
from orchestrator.campaign.models import Campaign, ChaosActivity, Phase, Silence, Target
from orchestrator.campaign.targets import Monitor
from orchestrator.campaign.targets import Tls as TlsModel
from orchestrator.campaign.watched import needs_of
from orchestrator.slo.expressions import Gauge
from orchestrator.slo.watched import gauge_name
from workers.contract.spec import FileRef, GaugeSpec, MonitorSpec, SilenceSpec, Tls, WatchSpec, watch_key

SILENCE_OVER_S: Final = 60.0
"""How long after the planned end of the traffic a silence ends by itself, should nobody remove it."""
UNKNOWN_LENGTH_S: Final = 3600.0
"""A phase whose length nobody knows: after the last of its faults."""

Files = Mapping[str, tuple[str, int]]
"""Path as the campaign file writes it -> (sha256, size in bytes)."""


def watch_spec(
    phase: Phase, campaign: Campaign, *, run: str, files: Files, urls: Mapping[str, str]
) -> WatchSpec:
    """The spec of the activity that watches a phase. `run`: the campaign's id; `urls`: of demo targets."""
    needs, monitor = needs_of(phase, campaign), monitor_of(campaign)
    gauges = (_gauge(name, gauge, campaign, files=files, urls=urls) for name, gauge in needs.gauges)
    return WatchSpec(
        campaign=run,
        phase=phase.name,
        activity=watch_key(phase.name),
        fence_s=campaign.on_lost_coordinator,
        monitor=None if monitor is None else _monitor(monitor, files),
        alerts=needs.alerts,
        gauges=tuple(one for one in gauges if one is not None),
        silences=_silences(phase, campaign) if needs.silences else (),
    )


def _monitor(monitor: Monitor, files: Files) -> MonitorSpec:
    return MonitorSpec(
        prometheus=monitor.prometheus or "",
        alertmanager=monitor.alertmanager or "",
        headers=dict(monitor.headers),
        tls=_tls(monitor.tls, files),
    )


def _gauge(
    name: str, gauge: Gauge, campaign: Campaign, *, files: Files, urls: Mapping[str, str]
) -> GaugeSpec | None:
    """None where the target has no page of metrics, which it has unless it is a demo that nobody started."""
    target = target_of(campaign, name)
    if target is None:
        return None
    url = target.metrics or (f"{urls[name].rstrip('/')}/metrics" if name in urls else "")
    return (
        GaugeSpec(
            name=gauge_name(name, gauge),
            target=name,
            url=url,
            metric=gauge.metric,
            labels=gauge.labels,
            headers=dict(target.headers) if _is_same_place(url, target, urls.get(name)) else {},
            tls=_tls(target.tls, files),
        )
        if url
        else None
    )


def _is_same_place(url: str, target: Target, started: str | None) -> bool:
    """Whether the page is the target's own, so that its credentials may be shown there."""
    return urlsplit(url).netloc == urlsplit(started or target.url or "").netloc


def _silences(phase: Phase, campaign: Campaign) -> tuple[SilenceSpec, ...]:
    assert campaign.gameday is not None  # noqa: S101  # the caller has looked
    spans = [span_of(one) for one in phase.activities if isinstance(one, ChaosActivity)]
    ends_s = traffic_s(phase) or max(to_s for _, to_s in spans) + UNKNOWN_LENGTH_S
    from_s = min(from_s for from_s, _ in spans)
    return tuple(
        SilenceSpec(matchers_of(one), from_s, ends_s + SILENCE_OVER_S) for one in campaign.gameday.silence
    )


def matchers_of(silence: Silence) -> tuple[tuple[str, str, str], ...]:
    """(label, operator, value) of each matcher; they were checked when the file was read."""
    named = (("alertname", "=", silence.alert),) if silence.alert is not None else ()
    return (*named, *silence.matchers)


def _tls(tls: TlsModel | None, files: Files) -> Tls | None:
    if tls is None:
        return None

    def ref(path: str | None) -> FileRef | None:
        return None if path is None else FileRef(*files[path], path)

    return Tls(
        ca=ref(tls.ca), cert=ref(tls.cert), key=ref(tls.key), verify=tls.verify, server_name=tls.server_name
    )
