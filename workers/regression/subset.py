"""`subset`: what is expected is in the answer, which may hold more. Lists are compared by position.

A text answer is read as JSON where an object or a list is expected: structured output arrives as text.
"""

from typing import ClassVar

import msgspec

from workers.contract.json_text import decode
from workers.regression.contract import at, shown
from workers.regression.exact import Items, first_difference


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
        return first_difference(expected, answer, surplus=_enough)


def _enough(expected: Items, answer: Items, place: str) -> str | None:
    """More is welcome, fewer items are not; a missing key was found before."""
    if isinstance(answer, dict) or len(answer) >= len(expected):
        return None
    return f"{at(place)}expected at least {len(expected)} items, got {len(answer)}"
