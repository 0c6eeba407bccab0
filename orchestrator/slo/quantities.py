"""A bound as it is written in an expression, in base units: METRICS.md section 5, `quantity`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from orchestrator.campaign.units import DURATION_UNITS, NUMBER, RATE_UNITS, SECONDS_OF_HOUR, SIZE_UNITS
from orchestrator.slo import names
from orchestrator.slo.cursor import Cursor

_BOUND: Final = re.compile(rf"(\$)?({NUMBER})(%|/?[A-Za-z]+)?(?: +([A-Z]{{3}})\b)?")
_BLANK_UNIT: Final = re.compile(r" +([A-Za-z/%]+)")

_COMMA: Final = re.compile(r",([0-9]+[A-Za-z/%]*)")

_EXAMPLES: Final[Mapping[str, str]] = {
    names.SECONDS: "250ms",
    names.FRACTION: "99%",
    names.PER_SECOND: "100/s",
    names.BYTES: "2GiB",
    names.JOULES: "5J",
    names.WATTS: "300W",
    names.NUMBER: "10",
    names.MONEY: "$0.02 or 0.02 EUR",
}


@dataclass(frozen=True, slots=True)
class _Bound:
    """The parts of a written bound."""

    dollar: str | None
    number: Decimal
    unit: str | None
    currency: str | None


def duration(cursor: Cursor) -> float:
    """Seconds of the duration here, above 0. Raises ExpressionError."""
    start = cursor.at
    seconds, _ = quantity(cursor, (names.SECONDS,))
    if seconds <= 0:
        raise cursor.error("must be longer than 0s", at=start)
    return seconds


def quantity(cursor: Cursor, units: tuple[str, ...]) -> tuple[float, str]:
    """A bound in base units, and which base unit it is."""
    cursor.skip()
    start = cursor.at
    example = f"say {' or '.join(_EXAMPLES[unit] for unit in units)}"
    found = cursor.take(_BOUND)
    if found is None:
        hint = cursor.unclosed() or example
        raise cursor.error("needs a bound", hint, at=start)
    dollar, number, unit, currency = found.groups()
    blank = _BLANK_UNIT.match(cursor.text, cursor.at)
    if unit is None and currency is None and blank and _base_unit(blank[1]):
        raise cursor.error("no blank before the unit", f"say {number}{blank[1]}", at=start)
    return _in_base_unit(cursor, _Bound(dollar, Decimal(number), unit, currency), units, (start, example))


def _in_base_unit(
    cursor: Cursor, bound: _Bound, units: tuple[str, ...], told: tuple[int, str]
) -> tuple[float, str]:
    start, example = told
    if bound.dollar or bound.currency:
        if bound.unit or (bound.dollar and bound.currency):
            raise cursor.error("a sum of money has one currency", example, at=start)
        if names.MONEY not in units:
            raise cursor.error("is not measured in money", example, at=start)
        return float(bound.number), bound.currency or "USD"
    if bound.unit is None and (comma := _COMMA.match(cursor.text, cursor.at)):
        raise cursor.error("a comma in a number", f"say {bound.number}.{comma[1]}", at=start)
    if bound.unit is None and cursor.text[cursor.at : cursor.at + 1] not in ("", " ", ")", ",", "\t", "\n"):
        raise cursor.error("not a number with a unit", example, at=start)
    if bound.unit is None:
        base, factor = names.NUMBER, Decimal(1)
    else:
        found = _base_unit(bound.unit)
        if found is None:
            raise cursor.error(f"unknown unit {bound.unit!r}", example, at=start)
        base, factor = found
    if base not in units:
        said = f"{bound.unit!r} is the wrong unit" if bound.unit else "a bare number has no unit"
        raise cursor.error(said, example, at=start)
    value = bound.number * factor
    if base == names.FRACTION and value > 1 and not _may_exceed(cursor):
        raise cursor.error("must be at most 100%", at=start)
    return float(value / SECONDS_OF_HOUR if base == names.PER_SECOND else value), base


def _may_exceed(cursor: Cursor) -> bool:
    """Shares end at 100%; the CPU of a process with several threads does not."""
    return "process.cpu" in cursor.text


def _base_unit(unit: str) -> tuple[str, Decimal] | None:
    tables: Iterable[tuple[str, Mapping[str, Decimal]]] = (
        (names.SECONDS, DURATION_UNITS),
        (names.PER_SECOND, RATE_UNITS),
        (names.BYTES, SIZE_UNITS),
        (names.FRACTION, {"%": Decimal("0.01")}),
        (names.JOULES, {"J": Decimal(1)}),
        (names.WATTS, {"W": Decimal(1)}),
    )
    return next(((base, table[unit]) for base, table in tables if unit in table), None)
