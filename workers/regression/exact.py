"""`exact`: the same value; numbers by value (1 is 1.0), true is not 1, NaN only equals NaN."""

from typing import ClassVar

import msgspec

from workers.regression.contract import differs, is_number, shown

AROUND = 20
"""Characters shown before the first difference of two texts."""


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
        return first_difference(expected, answer)


def first_difference(expected: object, answer: object, place: str = "") -> str | None:
    """The first place at which two JSON values differ, in words; None where they are the same."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        return _in_mappings(expected, answer, place)
    if isinstance(expected, list) and isinstance(answer, list):
        for index, (want, got) in enumerate(zip(expected, answer, strict=False)):
            why = first_difference(want, got, f"{place}[{index}]")
            if why:
                return why
        if len(expected) != len(answer):
            return f"{_at(place)}expected {len(expected)} items, got {len(answer)}"
        return None
    if isinstance(expected, str) and isinstance(answer, str):
        return None if expected == answer else _in_texts(expected, answer, place)
    return None if same_scalar(expected, answer) else differs(place, expected, answer)


def same_scalar(expected: object, answer: object) -> bool:
    """Equality of JSON scalars: numbers by value, booleans apart from numbers, NaN equal to itself."""
    if is_number(expected) and is_number(answer):
        return expected == answer or (expected != expected and answer != answer)  # noqa: PLR0124  # NaN
    return type(expected) is type(answer) and expected == answer


def _in_mappings(expected: dict[str, object], answer: dict[str, object], place: str) -> str | None:
    for key, want in expected.items():
        if key not in answer:
            return f"{_at(place)}{shown(key)} is missing"
        why = first_difference(want, answer[key], f"{place}.{key}")
        if why:
            return why
    extra = next((key for key in answer if key not in expected), None)
    return None if extra is None else f"{_at(place)}{shown(extra)} was not expected"


def _in_texts(expected: str, answer: str, place: str) -> str:
    pairs = enumerate(zip(expected, answer, strict=False))
    first = next((i for i, (want, got) in pairs if want != got), min(len(expected), len(answer)))
    start = max(0, first - AROUND)
    cut = "…" if start else ""
    want, got = cut + expected[start:], cut + answer[start:]
    return f"{_at(place)}differs from character {first + 1} on: expected {shown(want)}, got {shown(got)}"


def _at(place: str) -> str:
    return f"at {place}: " if place else ""
