"""Read lengths that were seen elsewhere: one a row, with its weight or without (CAMPAIGN.md section 6)."""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from workers.contract.data import Histogram
from workers.contract.errors import DataError
from workers.contract.files.tables import form_of, read_table
from workers.contract.files.trace_formats import MAX_LENGTH
from workers.contract.json_text import decode

LENGTH: Final = "length"
WEIGHTS: Final = ("weight", "count")
MAX_PROBLEMS: Final = 20
"""Broken rows listed before the rest is left out: enough to see the pattern."""

Row = tuple[int, object]
"""(line of the file or row of the table, from 1; a mapping, a list of cells, or a ValueError: why none)."""


def read_histogram(path: Path, *, name: str) -> Histogram:
    """Lengths in ascending order and how often each was seen; equal ones are added up.

    CSV: `length[,weight]`, after a line of names or none. JSON lines and Parquet: keys `length` and, if they
    are weighed, `weight` (or `count`); a bare number is a length too. `name` is what a person calls the file.
    Raises DataError that lists the broken rows with their lines.
    """
    found: dict[int, float] = {}
    problems: list[str] = []
    for line, row in _rows(path, name):
        try:
            length, weight = _pair(row)
        except ValueError as error:
            problems.append(f"{name}:{line}: {error}")
            if len(problems) >= MAX_PROBLEMS:
                break
            continue
        found[length] = found.get(length, 0.0) + weight
    if problems:
        raise DataError("\n".join(problems))
    if not found:
        raise DataError(f"{name} has no rows; write `length,weight` lines, e.g. 128,3")
    lengths = sorted(found)
    return Histogram(tuple(lengths), tuple(found[length] for length in lengths))


def _pair(row: object) -> tuple[int, float]:
    """A length and its weight. Raises ValueError."""
    if isinstance(row, ValueError):
        raise row
    match row:
        case dict():
            if LENGTH not in row:
                raise ValueError(f"{LENGTH!r} is missing; there are: {', '.join(map(str, row)) or 'no keys'}")
            length, weight = row[LENGTH], next((row[one] for one in WEIGHTS if one in row), 1.0)
        case [length]:
            weight = 1.0
        case [length, weight]:
            pass
        case list():
            raise ValueError(f"{len(row)} cells; a row is `length,weight`")
        case _:
            length, weight = row, 1.0
    return _length(length), _weight(weight)


def _length(value: object) -> int:
    number = _number(value)
    if number is None or not number.is_integer() or not 0 <= number <= MAX_LENGTH:
        raise ValueError(f"a length is a whole number from 0 to {MAX_LENGTH:,}, not {str(value)[:40]!r}")
    return int(number)


def _weight(value: object) -> float:
    number = _number(value)
    if number is None or not 0 < number < float("inf"):
        raise ValueError(f"a weight is a number above 0, not {str(value)[:40]!r}")
    return number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _rows(path: Path, name: str) -> Iterable[Row]:
    form = form_of(path, name=name)
    if form == "parquet":
        return enumerate(read_table(path, name=name, form=form), start=1)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    full = ((line, text) for line, text in enumerate(lines, start=1) if text.strip())
    return _cells(full) if form == "csv" else _values(full)


def _cells(lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    """Rows of a CSV file; by a first line of names, columns may stand in any order."""
    first = next(lines, None)
    if first is None:
        return
    columns = _cut(first[1])
    if _number(columns[0]) is None and LENGTH in columns:
        for line, text in lines:
            cells = _cut(text)
            if len(cells) != len(columns):
                yield line, ValueError(f"{len(cells)} cells where the line of names has {len(columns)}")
                continue
            yield line, dict(zip(columns, cells, strict=True))
        return
    for line, text in chain((first,), lines):
        yield line, _cut(text)


def _cut(text: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([text]))]


def _values(lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for line, text in lines:
        try:
            yield line, decode(text)
        except ValueError as error:
            yield line, error
