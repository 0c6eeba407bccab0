"""Phases: unique names, what they require, which targets and fellows their activities name (section 5)."""

import re
from collections.abc import Iterator

from orchestrator.campaign.checks.walk import activities, target_of
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    Match,
    Monitor,
    Phase,
    Target,
    TelemetryActivity,
)
from orchestrator.campaign.yaml_reader import Path


def check_phases(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with phases, and with the names that activities point at."""
    yield from _names(campaign)
    for index, phase in enumerate(campaign.phases):
        yield from _requires(campaign, index)
        yield from _alone(("phases", index), phase)
    for path, _, activity in activities(campaign):
        yield from _target_names(campaign, path, activity)
        if isinstance(activity, TelemetryActivity):
            yield from _sources(campaign, path, activity)


def check_match(path: Path, match: Match) -> Iterator[Finding]:
    """A match: exactly one way to name a process, and a pattern that can be read."""
    given = [key for key in ("name", "cmdline", "port", "pidfile") if getattr(match, key) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield Finding(path, f"needs exactly one of name, cmdline, port, pidfile, has {found}")
    if match.cmdline is not None:
        try:
            re.compile(match.cmdline)
        except re.error as error:
            yield Finding((*path, "cmdline"), f"is no regular expression: {error}")


def _names(campaign: Campaign) -> Iterator[Finding]:
    phases: set[str] = set()
    for index, phase in enumerate(campaign.phases):
        if phase.name in phases:
            yield Finding(("phases", index, "name"), f"a second phase named {phase.name}")
        phases.add(phase.name)
        seen: set[str] = set()
        for position, activity in enumerate(phase.activities):
            if activity.name in seen:
                path = ("phases", index, "activities", position, "name")
                yield Finding(path, f"a second activity named {activity.name} in this phase")
            seen.add(activity.name)
        yield from _one_span_a_name(("phases", index), phase)


def _one_span_a_name(path: Path, phase: Phase) -> Iterator[Finding]:
    """`during NAME` is a fault or a stage, hence never both."""
    faults = {activity.name for activity in phase.activities if isinstance(activity, ChaosActivity)}
    for position, activity in enumerate(phase.activities):
        arrivals = getattr(activity, "arrivals", None)
        for number, stage in enumerate((arrivals.stages if arrivals else None) or ()):
            if stage.name in faults:
                where = (*path, "activities", position, "arrivals", "stages", number, "name")
                hint = f"`during {stage.name}` could not tell them apart"
                yield Finding(where, f"{stage.name} is a fault of this phase too", hint)


def _requires(campaign: Campaign, index: int) -> Iterator[Finding]:
    earlier = [phase.name for phase in campaign.phases[:index]]
    later = [phase.name for phase in campaign.phases[index:]]
    for position, name in enumerate(campaign.phases[index].requires):
        path = ("phases", index, "requires", position)
        if name in later and name not in earlier:
            said = "itself" if name == later[0] else "a later phase"
            yield Finding(path, f"{name} is {said}; only earlier phases can be required")
        elif name not in earlier:
            yield Finding(path, f"there is no phase {name!r} before this one", nearest(name, earlier))


def _alone(path: Path, phase: Phase) -> Iterator[Finding]:
    kinds = {activity.kind for activity in phase.activities}
    if kinds <= {"chaos", "telemetry"} and "chaos" in kinds:
        yield Finding((*path, "activities"), "only chaos: nothing would see what the faults do", "add a load")
    if kinds == {"telemetry"}:
        for position, activity in enumerate(phase.activities):
            if isinstance(activity, TelemetryActivity) and activity.duration is None:
                where = (*path, "activities", position, "duration")
                yield Finding(where, "is missing (a phase of only telemetry ends by it)")


def _target_names(campaign: Campaign, path: Path, activity: Activity) -> Iterator[Finding]:
    named = [("target",), ("baseline",), ("shadow",)]
    for (key,) in named:
        if (name := getattr(activity, key, None)) is not None:
            yield from _target(campaign, (*path, key), name)
    for name in getattr(activity, "split", None) or ():
        yield from _target(campaign, (*path, "split", name), name)
    if isinstance(activity, ChaosActivity) and activity.match is not None:
        yield from check_match((*path, "match"), activity.match)


def _target(campaign: Campaign, path: Path, name: str) -> Iterator[Finding]:
    known = [key for key, one in campaign.targets.items() if isinstance(one, Target)]
    if isinstance(campaign.targets.get(name), Monitor):
        yield Finding(path, f"{name} is the monitor: asked, never loaded", nearest(name, known))
    elif name not in campaign.targets:
        yield Finding(path, f"there is no target {name!r}", nearest(name, known))


def _sources(campaign: Campaign, path: Path, activity: TelemetryActivity) -> Iterator[Finding]:
    for index, source in enumerate(activity.sources):
        where = (*path, "sources", index)
        if isinstance(source, str):
            continue
        if hasattr(source, "process"):
            yield from check_match((*where, "process"), source.process)
            continue
        yield from _target(campaign, (*where, "prometheus"), source.prometheus)
        target = target_of(campaign, source.prometheus)
        if target is not None and target.metrics is None and target.demo is None:
            yield Finding((*where, "prometheus"), f"target {source.prometheus} has no `metrics` URL")
