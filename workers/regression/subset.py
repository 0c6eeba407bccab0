"""`subset`: what is expected is in the answer, which may hold more. Lists are compared by position.

A text answer is read as JSON where an object or a list is expected: structured output arrives as text.
"""

from typing import ClassVar

import msgspec

from workers.contract.json_text import decode
from workers.regression.contract import differs, shown
from workers.regression.exact import first_difference


class SubsetOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


class Subset:
    """Expected keys and items are there, with expected values."""

    Options: ClassVar[type[SubsetOptions]] = SubsetOptions

    @staticmethod
    def check(expected: object, options: SubsetOptions) -> str | None:  # noqa: ARG004  # all kinds alike
        """Any value can be compared."""
        return None

    @staticmethod
    def compare(expected: object, answer: object, options: SubsetOptions) -> str | None:  # noqa: ARG004
        """The first expected place that is missing or different."""
        if isinstance(expected, dict | list) and isinstance(answer, str):
            try:
                answer = decode(answer)
            except ValueError as error:
                return f"expected JSON, got a text that is {error}: {shown(answer)}"
        return _missing(expected, answer, "")


def _missing(expected: object, answer: object, place: str) -> str | None:
    at = f"at {place}: " if place else ""
    if isinstance(expected, dict) and isinstance(answer, dict):
        for key, want in expected.items():
            if key not in answer:
                return f"{at}{shown(key)} is missing"
            why = _missing(want, answer[key], f"{place}.{key}")
            if why:
                return why
        return None
    if isinstance(expected, list) and isinstance(answer, list):
        for index, want in enumerate(expected):
            if index >= len(answer):
                return f"{at}expected at least {len(expected)} items, got {len(answer)}"
            why = _missing(want, answer[index], f"{place}[{index}]")
            if why:
                return why
        return None
    if isinstance(expected, dict | list):
        return differs(place, expected, answer)
    return first_difference(expected, answer, place)
