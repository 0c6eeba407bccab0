"""`close`: numbers, or lists of them, within |answer − expected| ≤ atol + rtol·|expected|.

Lists must have the same length at every depth; NaN only equals NaN, an infinity only itself.
"""

import math
from typing import Annotated, ClassVar

import msgspec

from workers.regression.contract import at, differs, is_number, is_numeric, shown

Tolerance = Annotated[float, msgspec.Meta(ge=0)]


class CloseOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Relative and absolute tolerance; the defaults of CAMPAIGN.md section 8."""

    rtol: Tolerance = 1e-5
    atol: Tolerance = 1e-8


class Close:
    """Numbers within a tolerance. Source of the rule: METRICS.md section 7 (numpy.isclose has the same)."""

    Options: ClassVar[type[CloseOptions]] = CloseOptions

    @staticmethod
    def check(expected: object, options: CloseOptions) -> str | None:  # noqa: ARG004  # all kinds alike
        """Only numbers and lists of them have a distance."""
        return None if is_numeric(expected) else f"close compares numbers, but {shown(expected)} is expected"

    @staticmethod
    def compare(expected: object, answer: object, options: CloseOptions) -> str | None:
        """The first number out of tolerance, and by how much."""
        return _compare(expected, answer, options, "")


def _compare(expected: object, answer: object, options: CloseOptions, place: str) -> str | None:
    if isinstance(expected, list) and isinstance(answer, list):
        if len(expected) != len(answer):
            return f"{at(place)}expected {len(expected)} numbers, got {len(answer)}"
        for index, (want, got) in enumerate(zip(expected, answer, strict=True)):
            why = _compare(want, got, options, f"{place}[{index}]")
            if why:
                return why
        return None
    if not (is_number(expected) and is_number(answer)):
        return differs(place, expected, answer)
    assert isinstance(expected, int | float)  # noqa: S101  # is_number says so; mypy cannot see it
    assert isinstance(answer, int | float)  # noqa: S101
    return _numbers(expected, answer, options, place)


def _numbers(expected: float, answer: float, options: CloseOptions, place: str) -> str | None:
    if expected == answer or (expected != expected and answer != answer):  # noqa: PLR0124  # NaN equals NaN
        return None
    try:
        distance = abs(answer - expected)
        allowed = options.atol + options.rtol * abs(expected)
    except OverflowError:  # an integer beyond the floats
        return differs(place, expected, answer)
    if math.isfinite(distance) and distance <= allowed:
        return None
    return f"{differs(place, expected, answer)} (off by {distance:.6g}, allowed {allowed:.6g})"
