"""`exact`: the same value; numbers by value (1 is 1.0), true is not 1, NaN only equals NaN."""

from collections.abc import Callable
from typing import ClassVar

import msgspec

from workers.regression.contract import at, differs, is_number, shown

AROUND = 20
"""Characters shown before the first difference of two texts."""

Items = list[object] | dict[str, object]
Surplus = Callable[[Items, Items, str], str | None]
"""What is wrong with the size of an answer's list or mapping, once all that was expected was compared."""


class ExactOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


class Exact:
    """The same value."""

    Options: ClassVar[type[ExactOptions]] = ExactOptions

    @staticmethod
    def check(expected: object, options: ExactOptions) -> str | None:  # noqa: ARG004  # all kinds alike
        """Any value can be compared."""
        return None

    @staticmethod
    def compare(expected: object, answer: object, options: ExactOptions) -> str | None:  # noqa: ARG004
        """The first place at which the two differ."""
        return first_difference(expected, answer, surplus=nothing_more)


def first_difference(expected: object, answer: object, place: str = "", *, surplus: Surplus) -> str | None:
    """The first place at which an answer is not as expected, in words; None where it is.

    `surplus` judges what the answer's lists and mappings hold beyond, or short of, what was compared.
    """
    if isinstance(expected, dict) and isinstance(answer, dict):
        for key, want in expected.items():
            if key not in answer:
                return f"{at(place)}{shown(key)} is missing"
            why = first_difference(want, answer[key], f"{place}.{key}", surplus=surplus)
            if why:
                return why
        return surplus(expected, answer, place)
    if isinstance(expected, list) and isinstance(answer, list):
        for index, (want, got) in enumerate(zip(expected, answer, strict=False)):
            why = first_difference(want, got, f"{place}[{index}]", surplus=surplus)
            if why:
                return why
        return surplus(expected, answer, place)
    if isinstance(expected, str) and isinstance(answer, str):
        return None if expected == answer else _in_texts(expected, answer, place)
    return None if same_scalar(expected, answer) else differs(place, expected, answer)


def nothing_more(expected: Items, answer: Items, place: str) -> str | None:
    """The answer may hold nothing else, and as many items."""
    if isinstance(answer, dict):
        extra = next((key for key in answer if key not in expected), None)
        return None if extra is None else f"{at(place)}{shown(extra)} was not expected"
    if len(expected) == len(answer):
        return None
    return f"{at(place)}expected {len(expected)} items, got {len(answer)}"


def same_scalar(expected: object, answer: object) -> bool:
    """Equality of JSON scalars: numbers by value, booleans apart from numbers, NaN equal to itself."""
    if is_number(expected) and is_number(answer):
        return expected == answer or (expected != expected and answer != answer)  # noqa: PLR0124  # NaN
    return type(expected) is type(answer) and expected == answer


def _in_texts(expected: str, answer: str, place: str) -> str:
    pairs = enumerate(zip(expected, answer, strict=False))
    first = next((i for i, (want, got) in pairs if want != got), min(len(expected), len(answer)))
    start = max(0, first - AROUND)
    cut = "…" if start else ""
    want, got = cut + expected[start:], cut + answer[start:]
    return f"{at(place)}differs from character {first + 1} on: expected {shown(want)}, got {shown(got)}"
