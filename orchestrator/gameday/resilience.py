"""What a target withstood, by class of fault: how many held of how many tried, never without what was not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workers.chaos import TABLE

NO_CLASS = ("noop",)


@dataclass(frozen=True, slots=True)
class Tried:
    """One planned fault. `took_effect`: it was done; `held`: all that was expected of the target held.

    `held` is None where nothing can be said: invalid, inconclusive, never injected.
    """

    fault: str
    held: bool | None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Of one class: `planned` faults, of which `tried` could be judged and `held` went well."""

    name: str
    held: int
    tried: int
    planned: int


def class_of(fault: str) -> str:
    """The class of a fault: the room that its kind lives in (process, host, network, ...)."""
    place = TABLE.get(fault, "other:").partition(":")[0]
    return place.partition(".")[0]


def classes() -> tuple[str, ...]:
    """All classes that this version knows, in the order of the table."""
    return tuple(dict.fromkeys(one for one in map(class_of, TABLE) if one not in NO_CLASS))


def scores(faults: Iterable[Tried]) -> tuple[ClassScore, ...]:
    """Each known class, those too of which nothing was planned: what was not tried is not known."""
    found: Mapping[str, list[Tried]] = {name: [] for name in classes()}
    mine = {name: list(some) for name, some in found.items()}
    for one in faults:
        mine.setdefault(class_of(one.fault), []).append(one)
    return tuple(
        ClassScore(
            name=name,
            held=sum(one.held is True for one in some),
            tried=sum(one.held is not None for one in some),
            planned=len(some),
        )
        for name, some in mine.items()
    )
