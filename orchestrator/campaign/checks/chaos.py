"""Chaos: known faults with their own options, in time, aimed and observed (CAMPAIGN.md section 7)."""

import re
from collections.abc import Iterator
from typing import Any, Final

from orchestrator.campaign.checks.compositions import check_composition, check_overlaps
from orchestrator.campaign.checks.regression import check_options
from orchestrator.campaign.checks.walk import activities, observed, target_of, traffic_s
from orchestrator.campaign.composing import Part, kind_named, parts_of, span_of, why_not
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import (
    Campaign,
    ChaosActivity,
    LoadActivity,
    Phase,
    SoakActivity,
)
from orchestrator.campaign.units import (
    UnitError,
    duration_or_zero_s,
    duration_s,
    percent,
    rate_per_s,
    size_bytes,
)
from orchestrator.campaign.yaml_reader import Path
from orchestrator.slo.expressions import Alert, Gauge
from workers.chaos import TABLE
from workers.chaos.contract import Kind

# No fault is held for longer; its guardian reverts it then.
LONGEST_S: Final = 3600.0
_HOST_AND_PORT: Final = re.compile(r"(?:[^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


def check_chaos(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with the chaos activities."""
    for path, phase, activity in activities(campaign):
        if not isinstance(activity, ChaosActivity):
            continue
        yield from _observers(campaign, path, phase, activity)
        if activity.fault is None and activity.faults is None:
            yield Finding((*path, "fault"), "is missing (a chaos activity needs it)")
        parts = parts_of(activity)
        known = [part for part in parts if kind_named(part.fault) is not None]
        for part in parts:
            yield from _part(campaign, path, activity, part)
        if len(known) == len(parts):
            yield from check_composition(path, activity)
            yield from _ends(path, phase, activity)
    for index, phase in enumerate(campaign.phases):
        yield from check_overlaps(("phases", index), campaign, phase)


def _part(campaign: Campaign, path: Path, activity: ChaosActivity, part: Part) -> Iterator[Finding]:
    """What is wrong with one fault of an activity."""
    where = (*path, *part.path)
    kind = kind_named(part.fault)
    if kind is None:
        hint = nearest(part.fault, list(TABLE))
        yield Finding((*where, "fault"), f"unknown fault {part.fault!r}", hint)
        return
    yield from _times(where, part, held=kind.held)
    yield from _aim(campaign, path, activity, part=part, kind=kind)
    quantities = list(_quantities((*where, "with"), part))
    yield from quantities
    said = {finding.path for finding in quantities}
    found = list(check_options((*where, "with"), dict(part.options), kind))
    yield from (finding for finding in found if finding.path not in said)
    if not quantities and not found and (why := why_not(part.options, kind)):
        yield Finding((*where, "with"), why)


def _times(path: Path, part: Part, *, held: bool) -> Iterator[Finding]:
    if held and part.for_s is None:
        yield Finding((*path, "for"), f"is missing ({part.fault} is held for a time)", "say 2s")
    if not held and part.for_s is not None:
        yield Finding((*path, "for"), f"{part.fault} happens once; it lasts no time", "leave it out")
    if part.for_s is not None and part.for_s > LONGEST_S:
        yield Finding((*path, "for"), "is longer than 1h, the longest that a fault may last")


def _ends(path: Path, phase: Phase, activity: ChaosActivity) -> Iterator[Finding]:
    _, ends = span_of(activity)
    traffic_ends = traffic_s(phase)
    if traffic_ends is not None and ends >= traffic_ends:
        message = f"the fault ends at {ends:g}s, the phase's traffic at {traffic_ends:g}s"
        yield Finding((*path, "at"), message, "it must end before the traffic does")


def _aim(
    campaign: Campaign, path: Path, activity: ChaosActivity, *, part: Part, kind: Kind
) -> Iterator[Finding]:
    if kind.client and activity.target is None:
        yield Finding((*path, "target"), f"is missing ({part.fault} is traffic on a target)")
    path = (*path, *part.path)
    if kind.client and part.match is not None:
        yield Finding((*path, "match"), f"{part.fault} is done by clients, to no process", "leave it out")
    if not kind.needs_match or part.match is not None:
        return
    aimed = [target_of(campaign, activity.target)] if activity.target else campaign.targets.values()
    if all(getattr(one, "demo", None) is None for one in aimed if one is not None) and None not in aimed:
        hint = "e.g. {port: 8000}; only the demo target's process is found without"
        yield Finding((*path, "match"), "is missing: it says which process", hint)


def _observers(campaign: Campaign, path: Path, phase: Phase, activity: ChaosActivity) -> Iterator[Finding]:
    names = [one.name for one in phase.activities if isinstance(one, LoadActivity | SoakActivity)]
    for index, name in enumerate(activity.observe or ()):
        if name not in names:
            where = (*path, "observe", index)
            yield Finding(where, f"there is no load or soak {name!r} in this phase", nearest(name, names))
    watching = observed(phase, activity)
    for index, expression in enumerate(activity.expect):
        where = (*path, "expect", index)
        if isinstance(expression.body, Gauge):
            targets = [
                target_of(campaign, name) for name in {one.target for one in watching} | {activity.target}
            ]
            if not any(one and (one.metrics or one.demo) for one in targets):
                yield Finding(where, "the observed target has no `metrics` URL")
        elif not isinstance(expression.body, Alert) and not watching:
            hint = "add a load on its target, or name one in `observe`"
            yield Finding(where, "no load or soak of the phase is observed", hint)


def _quantities(path: Path, part: Part) -> Iterator[Finding]:
    """Units inside `with:`, by the meaning that DESIGN's faults give to each key."""
    for key, value in part.options.items():
        readers = _READERS.get((part.fault, key)) or _READERS.get(("", key))
        if readers is None or isinstance(value, bool | list | dict) or value is None:
            continue
        errors: list[UnitError] = []
        for reader in readers:
            try:
                reader(value)
            except UnitError as error:
                errors.append(error)
        if len(errors) == len(readers):
            yield Finding((*path, key), errors[0].message, errors[0].hint)


def _bytes_per_s(value: object) -> float:
    size, slash, _ = value.partition("/s") if isinstance(value, str) else ("", "", "")
    if not slash:
        raise UnitError("must be a size per second", "say 1MiB/s")
    return size_bytes(size)


def _host_and_port(value: object) -> str:
    if not isinstance(value, str) or not _HOST_AND_PORT.fullmatch(value):
        raise UnitError("must be HOST:PORT", 'say "feature-store.internal:6379"')
    return value


_BY_RATE: Final = (
    ("disconnect-mid-stream", "rate"),
    ("malformed", "rate"),
    ("null-features", "rate"),
    ("oversize-prompt", "rate"),
    ("duplicate", "rate"),
    ("burst", "rate"),
)
_PAUSES: Final = (
    ("slow-loris", "every"),
    ("duplicate", "apart"),
    ("burst", "every"),
    ("cancel-storm", "after"),
    ("cancel-storm", "every"),
)
_READERS: Final[Any] = {
    ("", "latency"): (duration_or_zero_s,),
    ("", "jitter"): (duration_or_zero_s,),
    ("", "share_of_free"): (percent,),
    ("", "size"): (size_bytes,),
    ("gpu-compute", "share"): (percent,),
    ("gpu-loss", "within"): (duration_s,),
    ("cpu", "load"): (percent,),
    ("memory", "share"): (percent,),
    ("memory", "leave"): (size_bytes,),
    ("disk-fill", "share"): (percent,),
    ("disk-fill", "leave"): (size_bytes,),
    ("descriptors", "share"): (percent,),
    ("throttle-process", "memory"): (size_bytes,),
    ("packet-loss", "share"): (percent,),
    ("netem", "delay"): (duration_or_zero_s,),
    ("netem", "loss"): (percent,),
    ("netem", "reorder"): (percent,),
    ("netem", "rate"): (_bytes_per_s,),
    ("restart-process", "within"): (duration_s,),
    ("command", "within"): (duration_s,),
    ("command", "every"): (duration_s,),
    ("http", "within"): (duration_s,),
    ("http", "every"): (duration_s,),
    **dict.fromkeys(_BY_RATE, (rate_per_s,)),
    **dict.fromkeys(_PAUSES, (duration_or_zero_s,)),
    ("slow-reader", "rate"): (_bytes_per_s,),
    ("null-features", "share"): (percent,),
    ("tcp-proxy", "rate"): (_bytes_per_s,),
    ("tcp-proxy", "upstream"): (_host_and_port,),
    ("tcp-proxy", "reset_after"): (duration_or_zero_s, size_bytes),
}
