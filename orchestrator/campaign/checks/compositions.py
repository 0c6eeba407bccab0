"""Compositions: keys that go together, steps of strength, budgets, and one fault a target at a time."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from orchestrator.campaign.composing import (
    MOST_STEPS,
    Part,
    parts_of,
    scaled,
    steps_of,
    strengths,
    why_not,
)
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign, ChaosActivity, Phase, Target
from orchestrator.campaign.yaml_reader import Path
from workers.chaos.contract import Kind, kind_of
from workers.contract.fault_steps import FaultStep

_SHORTEST_STEP_S = 0.1  # a fault takes some hundredths of a second to be done and undone


def check_composition(path: Path, activity: ChaosActivity) -> Iterator[Finding]:
    """What is wrong with how an activity's faults, all of kinds that there are, are put together."""
    parts = parts_of(activity)
    if activity.faults is None:
        for key in ("order", "pause"):
            if getattr(activity, key) is not None:
                yield Finding((*path, key), "goes with `faults`", "leave it out")
    else:
        yield from _beside_faults(path, activity)
        yield from _order(path, activity, parts)
    for part in parts:
        yield from _strength(path, activity, part)
    if activity.order != "random" and len(steps_of(activity, seed=0, key="")) > MOST_STEPS:
        yield Finding((*path, "faults"), f"come to more than {MOST_STEPS} steps", "split the activity")


def check_overlaps(path: Path, campaign: Campaign, phase: Phase) -> Iterator[Finding]:
    """Held faults of a phase that are certain to meet on one target."""
    held = [
        (index, activity, step)
        for index, activity in enumerate(phase.activities)
        if isinstance(activity, ChaosActivity) and activity.order != "random"
        for step in steps_of(activity, seed=0, key="")
        if step.for_s > 0
    ]
    said: set[int] = set()
    for (_, one, first), (index, other, second) in combinations(held, 2):
        if index in said or not _overlap(first, second) or not _same_hosts(campaign, one, other):
            continue
        if shared := _shared(campaign, (one, first), (other, second)):
            said.add(index)
            whose = "two of its faults are" if one is other else f"it and {one.name} are"
            at_s = max(first.at_s, second.at_s)
            yield Finding(
                (*path, "activities", index),
                f"{whose} done to {shared} at {at_s:g}s at the same time",
                "one fault a target at a time: do one after the other",
            )


def _beside_faults(path: Path, activity: ChaosActivity) -> Iterator[Finding]:
    given = activity.model_fields_set
    if activity.fault is not None:
        yield Finding((*path, "faults"), "stands beside fault", "say one of them")
    for key, field in (("with", "with_"), ("match", "match")):
        if field in given:
            yield Finding((*path, key), "stands beside faults", "say it in the fault that it is for")
    if activity.for_ is not None and activity.order != "random":
        yield Finding((*path, "for"), "stands beside faults", "each of them has its own")


def _order(path: Path, activity: ChaosActivity, parts: tuple[Part, ...]) -> Iterator[Finding]:
    for index, one in enumerate(activity.faults or ()):
        if one.at is not None and activity.order != "parallel":
            hint = "say order: parallel, or use `pause` between them"
            yield Finding(
                (*path, "faults", index, "at"), f"is no key of a {activity.order or 'sequence'}", hint
            )
    if activity.order == "parallel" and activity.pause is not None:
        yield Finding(
            (*path, "pause"), "is between faults that come one after another", "use `at` in each fault"
        )
    if activity.order == "random":
        yield from _budget(path, activity, parts)


def _budget(path: Path, activity: ChaosActivity, parts: tuple[Part, ...]) -> Iterator[Finding]:
    budget_s, pause_s = activity.for_, activity.pause or 0.0
    if budget_s is None:
        yield Finding((*path, "for"), "is missing (it is the time in which faults are drawn)", "say 10m")
        return
    for part in parts:
        if part.for_s is None and pause_s == 0 and not kind_of(part.fault).held:
            hint = "say how long to wait after each, e.g. pause: 30s"
            yield Finding((*path, "pause"), f"is missing: {part.fault} itself takes no time", hint)
            return
        if part.for_s is not None and part.for_s > budget_s:
            message = f"is longer than the {budget_s:g}s in which faults are drawn"
            yield Finding((*path, *part.path, "for"), message)
    shortest_s = min(part.for_s or 0.0 for part in parts) + pause_s
    most = budget_s / shortest_s * max(len(part.intensity or (1,)) for part in parts) if shortest_s else 0
    if most > MOST_STEPS:
        hint = "say a shorter `for`, or a longer `pause`"
        yield Finding((*path, "for"), f"has room for more than {MOST_STEPS} steps", hint)


def _strength(path: Path, activity: ChaosActivity, part: Part) -> Iterator[Finding]:
    """Whether a fault can be done by degrees, and each degree is one."""
    own = bool(part.path and (activity.faults or ())[int(part.path[-1])].intensity)
    where = (*path, *part.path, "intensity") if own else (*path, "intensity")
    if own and activity.intensity is not None:
        yield Finding(where, "stands on the activity too", "say it once")
        return
    if not part.intensity:
        return
    kind = kind_of(part.fault)
    if not kind.scales:
        yield Finding(where, f"{part.fault} knows no degrees: it is done or not", "leave it out")
        return
    if not kind.held:
        yield Finding(where, f"{part.fault} happens once; there is no time to divide", "leave it out")
        return
    if not strengths(part.options, kind):
        names = " or ".join(kind.scales)
        yield Finding(
            where, f"there is nothing to multiply: {part.fault} has no {names} here", "say it in `with`"
        )
        return
    each_s = (part.for_s or 0.0) / len(part.intensity)
    if part.for_s is not None and each_s < _SHORTEST_STEP_S:
        yield Finding(
            where, f"leaves {each_s:g}s to each of {len(part.intensity)} steps", "say a longer `for`"
        )
    yield from _degrees(where, part, kind)


def _degrees(where: Path, part: Part, kind: Kind) -> Iterator[Finding]:
    """Whether each degree can be, and is another than those before it."""
    before: list[tuple[float, dict[str, Any]]] = [(1.0, scaled(part.options, kind, 1.0))]
    for place, share in enumerate(part.intensity):
        options = scaled(part.options, kind, share)
        alike = [one for one, known in before if known == options and one != share]
        if share == 0:
            yield Finding((*where, place), "must be above 0%", "a fault of no strength is none")
        elif alike and share < 1 and not why_not(dict(part.options), kind):
            given = " and ".join(f"{name} {one}" for name, one in strengths(part.options, kind).items())
            message = (
                f"{share:.0%} of {part.fault} is the same as {alike[0]:.0%}: {given} cannot be divided so"
            )
            yield Finding((*where, place), message, "say a larger number in `with`, or fewer degrees")
        elif why := _refusal(options, kind, full=dict(part.options)):
            yield Finding((*where, place), f"{share:.0%} of {part.fault} cannot be: {why}")
        before.append((share, options))


def _refusal(options: dict[str, Any], kind: Any, *, full: dict[str, Any]) -> str:
    """Why the kind takes its options at full strength, but not these."""
    return "" if why_not(full, kind) else why_not(options, kind)


def _overlap(one: FaultStep, other: FaultStep) -> bool:
    return one.at_s < other.at_s + other.for_s and other.at_s < one.at_s + one.for_s


def _same_hosts(campaign: Campaign, one: ChaosActivity, other: ChaosActivity) -> bool:
    """Whether both are certain to be done on the same host."""
    if one is other:
        return True
    if one.where is None and other.where is None:
        demos = [_on_demo(campaign, activity) for activity in (one, other)]
        return None not in demos and demos[0] == demos[1]
    if one.where is None or other.where is None:
        return False
    named = one.where.host
    return len(named) == 1 and named == other.where.host


def _on_demo(campaign: Campaign, activity: ChaosActivity) -> str | None:
    target = campaign.targets.get(activity.target or "")
    return activity.target if isinstance(target, Target) and target.demo is not None else None


def _shared(
    campaign: Campaign, one: tuple[ChaosActivity, FaultStep], other: tuple[ChaosActivity, FaultStep]
) -> str:
    """What both are done to, in words; empty where they may be done to different things."""
    (model, first), (beside, second) = one, other
    kinds = [kind_of(step.fault) for step in (first, second)]
    if None in kinds:
        return ""
    if all(kind.needs_match for kind in kinds):
        if first.match is None and second.match is None:
            return (
                "the demo target's process" if _default(campaign, model) == _default(campaign, beside) else ""
            )
        return "the same process" if first.match == second.match else ""
    if all(kind.client for kind in kinds):
        return ""  # clients may do several things to a target at once
    port = first.options.get("listen")
    if port is not None and port == second.options.get("listen"):
        return f"port {port}"
    same = first.fault == second.fault and (kinds[0].wide or first.options == second.options)
    if not same or kinds[0].needs_match or not (kinds[0].wide or first.options):
        return ""
    return f"the same host by {first.fault}" if kinds[0].wide else f"the same thing by {first.fault}"


def _default(campaign: Campaign, activity: ChaosActivity) -> str | None:
    demos = [
        name for name, one in campaign.targets.items() if isinstance(one, Target) and one.demo is not None
    ]
    return activity.target or (demos[0] if demos else None)
