"""What an action of an experiment comes to: a fault, the end of one, a pause, or nothing known. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A fault. `for_s`: how long the action itself says, None where it says nothing.

    `undo`: by which word a later action ends it. `to_do`: what the campaign cannot say and a person must.
    `lost`: what of the action the fault does not do, and why.
    """

    fault: str
    options: Mapping[str, object] = field(default_factory=dict)
    match: Mapping[str, object] | None = None
    for_s: float | None = None
    undo: str = ""
    to_do: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undo:
    """The end of a fault that began with this word. Here a fault ends by itself."""

    word: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing happens for so long."""

    for_s: float


@dataclass(frozen=True, slots=True)
class Prepares:
    """Something that needs no step of its own here."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Something that cannot be carried over, and why."""

    why: str


_PAIRS: Final = (
    ("start", "stop"), ("pause", "unpause", "suspend", "resume"), ("enable", "disable"), ("up", "down"),
    ("cordon", "uncordon"), ("connect", "disconnect"), ("attach", "detach"), ("freeze", "thaw", "unfreeze"),
    ("block", "unblock"), ("mask", "unmask"), ("add", "del", "delete", "remove"), ("on", "off"),
)  # fmt: skip
_PAIRED: Final[Mapping[str, str]] = {word: "/".join(pair) for pair in _PAIRS for word in pair}

Meaning = Wanted | Undo | Pause | Prepares | Unmapped


def neutral(words: Sequence[str]) -> str:
    """Words with `start` and `stop`, and other pairs, as one: alike for an action and for its opposite."""
    return " ".join(_PAIRED.get(word.lower(), word) for word in words)


def ms(value: object) -> str:
    """A duration from milliseconds."""
    return f"{_number(value):g}ms"


def percentage(share: float) -> str:
    """A percentage from a share."""
    return f"{round(share * 100, 6):g}%"


def number(value: object, default: float = 0.0) -> float:
    """A number, also where it is written as text; `default` where it is none."""
    return default if value is None else _number(value)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0
