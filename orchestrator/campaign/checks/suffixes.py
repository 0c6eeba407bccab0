"""Suffixes of expressions: faults, stages and rows that there are, windows that fit (METRICS.md 5)."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.campaign.checks.walk import activities, length_s
from orchestrator.campaign.composing import span_of
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    FileData,
    LoadActivity,
    Phase,
    SoakActivity,
    SyntheticData,
)
from orchestrator.campaign.yaml_reader import Path
from orchestrator.slo.expressions import Expression, Place
from orchestrator.slo.names import GIVEN_TAGS

TURN = "turn"
OF_LOCUSTFILES = ("name", "method")
LEAST_TRAILING_S = 2.0
"""Of `abort_if`: the second that ended just now is not in yet."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where an expression stands; `activity` is None for the campaign's own."""

    path: Path
    place: Place
    expression: Expression
    phase: Phase | None = None
    activity: Activity | None = None


def check_suffixes(campaign: Campaign, stand: Stand) -> Iterator[Finding]:
    """What is wrong with `over`, `during` and `for` of one expression."""
    suffixes, activity = stand.expression.suffixes, stand.activity
    if suffixes.during is not None:
        phases = [stand.phase] if stand.phase else list(campaign.phases)
        known = [name for phase in phases for name in _spans(phase)]
        if suffixes.during not in known:
            where = "in this phase" if stand.phase else "in any phase"
            message = f"there is no fault or stage {suffixes.during!r} {where}"
            yield Finding(stand.path, message, nearest(suffixes.during, known))
    if suffixes.over_s:
        yield from _window(campaign, stand)
    if suffixes.tag is not None and activity is not None:
        yield from _tag(stand, activity, suffixes.tag)


def _window(campaign: Campaign, stand: Stand) -> Iterator[Finding]:
    window_s = stand.expression.suffixes.over_s[0]
    if stand.place == "abort_if" and min(stand.expression.suffixes.over_s) < LEAST_TRAILING_S:
        message = "numbers come in up to a second late: so short a window is empty, which would stop any run"
        yield Finding(stand.path, message, f"say over {LEAST_TRAILING_S:g}s or longer")
        return
    for span_s, whose in _judged(campaign, stand):
        if window_s > span_s:
            message = f"a window of {window_s:g}s is longer than {whose}, {span_s:g}s"
            yield Finding(stand.path, message, "say a shorter window, or leave `over` out")
            return


def _judged(campaign: Campaign, stand: Stand) -> Iterator[tuple[float, str]]:
    """How long each span is that the expression is judged over, where that is known, and its name.

    `abort_if` and `while` have none: the one looks back, the other is judged a step at a time.
    """
    during, activity = stand.expression.suffixes.during, stand.activity
    if stand.place in ("abort_if", "while"):
        return
    if during is not None:
        phases = [stand.phase] if stand.phase else campaign.phases
        yield from (
            (length, during) for phase in phases for name, length in _lengths(phase) if name == during
        )
    elif isinstance(activity, ChaosActivity):
        yield from ((length, "the fault") for length in (_held_s(activity),) if length)
    else:
        where = [one for _, _, one in activities(campaign)] if activity is None else [activity]
        for one in where:
            if isinstance(one, LoadActivity | SoakActivity) and (length := length_s(one)) is not None:
                whose = "the judged span" if activity else f"the judged span of {one.name}"
                yield length - one.warmup, whose


def _lengths(phase: Phase) -> Iterator[tuple[str, float]]:
    """Held faults and named stages of a phase, with their lengths in seconds."""
    for activity in phase.activities:
        if isinstance(activity, ChaosActivity) and (held_s := _held_s(activity)):
            yield activity.name, held_s
        arrivals = getattr(activity, "arrivals", None)
        for stage in (arrivals.stages if arrivals else None) or ():
            if stage.name:
                yield stage.name, stage.for_


def _held_s(chaos: ChaosActivity) -> float:
    """From its first fault to the end of its last; 0 where how long it is felt is not known."""
    begins_s, ends_s = span_of(chaos)
    return ends_s - begins_s


def _spans(phase: Phase) -> Iterator[str]:
    for activity in phase.activities:
        if isinstance(activity, ChaosActivity):
            yield activity.name
        arrivals = getattr(activity, "arrivals", None)
        yield from (stage.name for stage in (arrivals.stages if arrivals else None) or () if stage.name)


def _tag(stand: Stand, activity: Activity, tag: tuple[str, str]) -> Iterator[Finding]:
    name, value = tag
    if name in GIVEN_TAGS:
        stages = list(_spans(stand.phase)) if stand.phase else []
        given = {"mutation": "mutate", "probe": "probes"}
        known = stages if name == "stage" else list(getattr(activity, given[name], None) or ())
        if value not in known:
            yield Finding(stand.path, f"no request has {name}={value}", nearest(value, known))
        return
    sessions = getattr(activity, "sessions", None)
    if name == TURN and sessions is not None:
        if value not in [str(turn + 1) for turn in range(sessions.turns)]:
            yield Finding(stand.path, f"no request has turn={value}", f"turns are 1 to {sessions.turns}")
        return
    if getattr(activity, "locustfile", None) is not None:
        if name not in OF_LOCUSTFILES:
            told = " and ".join(OF_LOCUSTFILES)
            yield Finding(stand.path, f"requests of a locustfile have no tag {name!r}", f"they have {told}")
        return
    data = getattr(activity, "data", None)
    if isinstance(data, SyntheticData):
        yield Finding(stand.path, f"made-up prompts have no tag {name!r}")
    elif isinstance(data, FileData) and data.tags and name not in data.tags:
        yield Finding(stand.path, f"{name!r} is not among the data's tags", nearest(name, list(data.tags)))
