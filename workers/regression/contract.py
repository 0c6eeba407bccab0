"""What every comparator owes the judge, and how it words a difference."""

from typing import Any, ClassVar, Protocol

MAX_WHY = 300
"""Characters of a reason: the first difference with its surroundings, bounded because reasons travel."""

MAX_SHOWN = 60
"""Characters of one value inside a reason."""


class Comparator(Protocol):
    """A kind of comparison: two pure functions and the type of its options."""

    Options: ClassVar[type[Any]]

    @staticmethod
    def check(expected: object, options: Any) -> str | None:
        """Why `expected` cannot be compared this way; None where it can. Called before any request."""

    @staticmethod
    def compare(expected: object, answer: object, options: Any) -> str | None:
        """Why the answer is not as expected, with the first differing place; None where it is."""


def shown(value: object) -> str:
    """A value as a reason shows it: Python's notation, cut to MAX_SHOWN characters."""
    if isinstance(value, str):
        value = value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "…"
        return repr(value)
    if isinstance(value, list | tuple) and len(value) > MAX_SHOWN:
        value = value[:MAX_SHOWN]
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def differs(place: str, expected: object, answer: object) -> str:
    """The sentence for two values that differ at `place` (empty: the field itself)."""
    return f"{at(place)}expected {shown(expected)}, got {shown(answer)}"


def at(place: str) -> str:
    """How a reason begins that speaks of `place`; nothing where that is the field itself."""
    return f"at {place}: " if place else ""


def is_number(value: object) -> bool:
    """Whether a value is a JSON number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_numeric(value: object) -> bool:
    """Whether a value is a number, or a list (of lists) of nothing but numbers."""
    if isinstance(value, list):
        return all(is_numeric(item) for item in value)
    return is_number(value)
