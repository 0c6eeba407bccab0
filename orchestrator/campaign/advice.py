"""What is no error but worth saying, and what parses though this version does not run it."""

from collections.abc import Iterator
from typing import Final

from orchestrator.campaign.checks.targets import works
from orchestrator.campaign.checks.walk import activities
from orchestrator.campaign.findings import Finding, dotted
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    LoadActivity,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    Target,
    TelemetryActivity,
)
from orchestrator.campaign.yaml_reader import Path

_RESERVED_AT_TOP: Final = ("priority", "share_target", "protect", "comparison")
_RESERVED_IN_ACTIVITY: Final = (
    "split",
    "shadow",
    "levels",
    "sessions",
    "faults",
    "order",
    "intensity",
    "hidden",
)
_RESERVED_IN_GAMEDAY: Final = ("runbook", "announce", "tabletop")


def advise(campaign: Campaign) -> Iterator[Finding]:
    """Warnings: targets that nobody uses, activities that nobody judges."""
    used = set(_used_targets(campaign))
    for name, target in campaign.targets.items():
        if isinstance(target, Target) and name not in used:
            yield Finding(("targets", name), "no activity uses this target")
    for path, _, activity in activities(campaign):
        if not _judged(campaign, activity):
            yield Finding(path, f"{activity.name} has no slos: measured, not judged, it counts as pass")


def not_working(campaign: Campaign) -> tuple[tuple[str, str], ...]:
    """What the campaign uses of what is reserved: (path, name), for `run` to refuse by name."""
    return tuple((dotted(path), name) for path, name in _reserved(campaign))


def _reserved(campaign: Campaign) -> Iterator[tuple[Path, str]]:
    for key in _RESERVED_AT_TOP:
        if key in campaign.model_fields_set:
            yield (key,), key
    for key in _RESERVED_IN_GAMEDAY:
        if campaign.gameday is not None and key in campaign.gameday.model_fields_set:
            yield ("gameday", key), f"gameday.{key}"
    for name, target in campaign.targets.items():
        if isinstance(target, Target) and not works("protocols", target.protocol):
            yield ("targets", name, "protocol"), f"protocol {target.protocol}"
    for path, _, activity in activities(campaign):
        if activity.kind == "batch":
            yield (*path, "kind"), "kind batch"
        for key in _RESERVED_IN_ACTIVITY:
            if key in activity.model_fields_set:
                yield (*path, key), key
        if isinstance(activity, ChaosActivity) and activity.fault and not works("chaos", activity.fault):
            yield (*path, "fault"), f"fault {activity.fault}"


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
