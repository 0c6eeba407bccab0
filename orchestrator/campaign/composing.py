"""What a chaos activity does, step by step: one fault, or several in sequence, in parallel or drawn.

Pure: the same activity, key and seed always give the same steps.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import fields, replace

from orchestrator.campaign.activities import ChaosActivity, ComposedFault, Match
from orchestrator.campaign.yaml_reader import Path
from workers.chaos import TABLE
from workers.chaos.contract import Fault, Kind, kind_of
from workers.contract.errors import FaultError
from workers.contract.fault_steps import FaultStep

MOST_STEPS = 100
"""Of one activity on one host: each has its thread in the worker and its entry in the report."""

_NUMBER: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(.*)", re.DOTALL)
_LEAST_S: Final = 1e-9  # below it a rest of the budget is rounding


@dataclass(frozen=True, slots=True)
class Part:
    """One fault of an activity as its file says it; `path`: of its keys, below the activity.

    `for_s` is None for a one-shot one. `at_s`: from the activity's `at` on, of parallel ones. `intensity`:
    shares of strength that it goes through, its time divided among them; empty: full strength all the time.
    """

    path: Path
    fault: str
    options: Mapping[str, Any]
    match: Match | None
    for_s: float | None
    at_s: float
    intensity: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A part with the moment, since the phase's start, at which it begins."""

    part: Part
    at_s: float


def parts_of(model: ChaosActivity) -> tuple[Part, ...]:
    """The faults of an activity, in the order of the file."""
    if model.faults is None:
        if model.fault is None:
            return ()
        intensity = model.intensity or ()
        return (Part((), model.fault, model.with_, model.match, model.for_, 0.0, intensity),)
    return tuple(_part(one, index, model) for index, one in enumerate(model.faults))


def steps_of(model: ChaosActivity, *, seed: int, key: str) -> tuple[FaultStep, ...]:
    """What is done on each host, in order of time; `key` and `seed` decide what is drawn."""
    parts = parts_of(model)
    if not parts:
        return ()
    drawn = random.Random(f"{seed}/{key}/faults")
    begun = list(_begun(parts, model, drawn))
    found: list[FaultStep] = []
    for one in begun:
        before = len(found) - 1 if found and model.order != "parallel" else None
        found += _of_part(one, first=len(found), before=before)
    seeded = [replace(step, seed=drawn.getrandbits(63)) for step in found]
    return _in_order_of_time(seeded)


def span_of(model: ChaosActivity) -> tuple[float, float]:
    """When the first fault begins and the last one ends at the latest, in seconds since the phase's start."""
    if model.order == "random" and model.for_ is not None:
        return model.at, model.at + model.for_
    steps = steps_of(model, seed=0, key="")
    ends = (step.at_s + step.for_s for step in steps)
    return min((step.at_s for step in steps), default=model.at), max(ends, default=model.at)


def kind_named(fault: str) -> Kind | None:
    """The kind of that name; None where there is none."""
    return kind_of(fault) if fault in TABLE else None


def built(options: Mapping[str, Any], kind: Kind) -> Fault | str:
    """The fault that a kind makes of these options, or why it does not take them."""
    try:
        return kind.of(options)
    except (msgspec.ValidationError, FaultError) as error:
        return str(error)


def why_not(options: Mapping[str, Any], kind: Kind) -> str:
    """Why a kind does not take these options; empty where it does."""
    found = built(options, kind)
    return found if isinstance(found, str) else ""


def scaled(options: Mapping[str, Any], kind: Kind, share: float) -> dict[str, Any]:
    """The options at a share (0..1] of their strength: those that `scales` names, given or by default."""
    if share == 1:
        return dict(options)
    return {**options, **{name: _times(one, share) for name, one in strengths(options, kind).items()}}


def strengths(options: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """What `intensity` multiplies: the options that `scales` names, as they are given or by default."""
    defaults = {one.name: one.default for one in fields(kind.Options) if one.default is not NODEFAULT}
    strength = {name: options.get(name, defaults.get(name)) for name in kind.scales}
    return {name: one for name, one in strength.items() if one is not None}


def rounds(parts: Sequence[Part], *, for_s: float, pause_s: float, drawn: random.Random) -> Iterator[_Begun]:
    """Draw parts until none fits into the rest of the time: all in turn, in a new order each round."""
    at_s = 0.0
    shortest_s = min(part.for_s or 0.0 for part in parts)
    begun = 0
    while at_s + shortest_s <= for_s + _LEAST_S and begun < MOST_STEPS:
        before = begun
        for part in drawn.sample(list(parts), len(parts)):
            if at_s + (part.for_s or 0.0) <= for_s + _LEAST_S and begun < MOST_STEPS:
                yield _Begun(part, at_s)
                at_s += (part.for_s or 0.0) + pause_s
                begun += 1
        if begun == before:
            return


def _part(one: ComposedFault, index: int, model: ChaosActivity) -> Part:
    return Part(
        path=("faults", index),
        fault=one.fault,
        options=one.with_,
        match=one.match,
        for_s=one.for_,
        at_s=one.at or 0.0,
        intensity=one.intensity or model.intensity or (),
    )


def _begun(parts: tuple[Part, ...], model: ChaosActivity, drawn: random.Random) -> Iterator[_Begun]:
    pause_s = model.pause or 0.0
    if model.order == "random":
        found = rounds(parts, for_s=model.for_ or 0.0, pause_s=pause_s, drawn=drawn)
        yield from (_Begun(one.part, model.at + one.at_s) for one in found)
    elif model.order == "parallel":
        yield from (_Begun(part, model.at + part.at_s) for part in parts)
    else:
        at_s = model.at
        for part in parts:
            yield _Begun(part, at_s)
            at_s += (part.for_s or 0.0) + pause_s


def _of_part(begun: _Begun, *, first: int, before: int | None) -> Iterator[FaultStep]:
    """The steps of one part, one for each share of its strength; each waits for the one before it."""
    part = begun.part
    kind = kind_named(part.fault)
    shares = part.intensity or (1.0,)
    each_s = (part.for_s or 0.0) / len(shares)
    for number, share in enumerate(shares):
        yield FaultStep(
            fault=part.fault,
            options=scaled(part.options, kind, share) if kind is not None else dict(part.options),
            match=None if part.match is None else part.match.model_dump(exclude_none=True),
            at_s=begun.at_s + number * each_s,
            for_s=each_s,
            after=first + number - 1 if number else before,
            intensity=share,
        )


def _in_order_of_time(steps: list[FaultStep]) -> tuple[FaultStep, ...]:
    """Sorted by when they begin; what they wait for is named by its new place."""
    order = sorted(range(len(steps)), key=lambda place: (steps[place].at_s, place))
    place_of = {old: new for new, old in enumerate(order)}
    return tuple(
        replace(steps[old], after=None if (after := steps[old].after) is None else place_of[after])
        for old in order
    )


def _times(value: Any, share: float) -> Any:
    """A number, or that at the beginning of a text, times a share; a whole number stays one, at least 1."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return max(1, round(value * share))
    if isinstance(value, float):
        return value * share
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return value
    return f"{float(found[1]) * share:.6f}".rstrip("0").rstrip(".") + found[2]
