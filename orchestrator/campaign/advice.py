"""What is no error but worth saying: targets, monitors, activities and windows that do nothing."""

from collections.abc import Iterator

from orchestrator.campaign.checks.walk import activities, traffic_s
from orchestrator.campaign.composing import span_of
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    LoadActivity,
    Monitor,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    Target,
    TelemetryActivity,
)
from orchestrator.slo.expressions import DEFAULT_WINDOW_S, Alert, Expression, Gauge


def advise(campaign: Campaign) -> Iterator[Finding]:
    """Warnings: targets that nobody uses, activities that nobody judges."""
    used = set(_used_targets(campaign))
    for name, target in campaign.targets.items():
        if isinstance(target, Target) and name not in used:
            yield Finding(("targets", name), "no activity uses this target", "leave it out")
        if isinstance(target, Monitor) and not any(_alerts(campaign)):
            yield Finding(("targets", name), "no expression asks this monitor for an alert")
    yield from _never_checked(campaign)
    yield from _cut_short(campaign)
    for path, _, activity in activities(campaign):
        if not _judged(campaign, activity):
            yield Finding(path, f"{activity.name} has no slos: measured, not judged, it counts as pass")
        if isinstance(activity, LoadActivity | SoakActivity) and _thinks_twice(activity):
            where = (*path, "arrivals", "think")
            yield Finding(where, "users of a locustfile do not think so long, they have their own wait_time")


def _thinks_twice(activity: LoadActivity | SoakActivity) -> bool:
    return activity.locustfile is not None and activity.arrivals.think > 0


def _alerts(campaign: Campaign) -> Iterator[Expression]:
    stated = list(campaign.slos)
    for _, _, activity in activities(campaign):
        stated += [*getattr(activity, "slos", ()), *getattr(activity, "expect", ())]
    yield from (one for one in stated if isinstance(one.body, Alert))


def _never_checked(campaign: Campaign) -> Iterator[Finding]:
    """A trailing window that no phase is long enough to fill."""
    lengths = [traffic_s(phase) for phase in campaign.phases]
    for index, expression in enumerate(campaign.abort_if):
        window_s = max(expression.suffixes.over_s, default=DEFAULT_WINDOW_S)
        known = [length for length in lengths if length is not None]
        if len(known) == len(lengths) and all(length <= window_s for length in known):
            said = f"is never checked: no phase lasts longer than its window of {window_s:g}s"
            yield Finding(("abort_if", index), said, "say a shorter `over`")


def _cut_short(campaign: Campaign) -> Iterator[Finding]:
    """Claims about alerts and gauges that may take longer than the traffic after their fault lasts."""
    for path, phase, activity in activities(campaign):
        ends_s = traffic_s(phase)
        if not isinstance(activity, ChaosActivity) or ends_s is None:
            continue
        from_s, to_s = span_of(activity)
        for index, one in enumerate(activity.expect):
            body = one.body
            if not isinstance(body, Alert | Gauge) or body.within_s is None:
                continue
            since_s = from_s if isinstance(body, Alert) and body.event == "fires" else to_s
            if since_s + body.within_s > ends_s:
                said = f"may take until {since_s + body.within_s:g}s, the phase's traffic ends at {ends_s:g}s"
                hint = "where it did not come by then, nothing can be said; let the traffic last longer"
                yield Finding((*path, "expect", index), said, hint)


def _used_targets(campaign: Campaign) -> Iterator[str]:
    for _, _, activity in activities(campaign):
        for key in ("target", "baseline", "shadow"):
            if (name := getattr(activity, key, None)) is not None:
                yield name
        yield from getattr(activity, "split", None) or ()
        if isinstance(activity, TelemetryActivity):
            for source in activity.sources:
                if not isinstance(source, str) and hasattr(source, "prometheus"):
                    yield source.prometheus


def _judged(campaign: Campaign, activity: Activity) -> bool:
    """Whether something judges it: its own expressions, the campaign's, or a trend that is gated."""
    if isinstance(activity, RegressionActivity | SearchActivity):
        return bool(activity.slos)
    if not isinstance(activity, LoadActivity | SoakActivity):
        return True
    trend = isinstance(activity, SoakActivity) and activity.trend.gate and bool(activity.watch)
    return bool(activity.slos or campaign.slos) or trend
