"""Read a golden set: one case a row, from JSON lines, Parquet or CSV; all broken rows are named at once.

It stands in the contract because both sides read it: the coordinator to count cases and to refuse a broken
file before anything runs, the engine to send them.
"""

import math
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import msgspec

from workers.contract.errors import DataError
from workers.contract.files.tables import form_of, read_table
from workers.contract.json_text import decode

MAX_PROBLEMS = 20
"""Broken rows listed before only their number is told: enough to see the pattern, short enough to read."""

MAX_CASES = 1_000_000
"""Cases are held in memory, about 2 KB each; more belong into a load's data file."""

_KEYS = ("id", "request", "expected", "compare", "tags", "weight")

Row = tuple[int, object]
"""(line in the file, or row number in a table, from 1; the row, or a ValueError: why it has none)."""


class Case(msgspec.Struct, frozen=True):
    """One case. `expected` is None only where a baseline answers instead; `line` counts from 1."""

    id: str
    request: dict[str, object]
    expected: dict[str, object] | None
    compare: dict[str, object]
    tags: dict[str, str]
    weight: float
    line: int


def read_golden(path: Path | str, *, name: str = "", baseline: bool = False) -> list[Case]:
    """All cases of a file, in its order; with a `baseline`, rows without `expected` are allowed.

    `name` is what a person calls the file, and says how it is written; empty where `path` does.
    Raises DataError that lists every broken row with its line and what to do (MAX_PROBLEMS, then a count).
    """
    path = Path(path)
    name = name or path.name
    cases: list[Case] = []
    problems: list[str] = []
    lines: dict[str, int] = {}
    for line, row in _rows(path, name):
        try:
            case = _case(row, line=line, needs_expected=not baseline)
        except ValueError as error:
            problems.append(f"{name}:{line}: {error}")
            continue
        first = lines.setdefault(case.id, line)
        if first != line:
            problems.append(
                f"{name}:{line}: id {case.id!r} is already on line {first}; give each case its own"
            )
        cases.append(case)
        if len(cases) > MAX_CASES:
            raise DataError(f"{name} has more than {MAX_CASES:,} cases; split it")
    if problems:
        raise DataError(_listed(name, problems))
    if not cases:
        raise DataError(
            f'{name} has no cases; write one a line: {{"id": ..., "request": ..., "expected": ...}}'
        )
    return cases


def _rows(path: Path, name: str) -> Iterable[Row]:
    form = form_of(path, name=name)
    if form != "lines":
        return enumerate(read_table(path, name=name, form=form), start=1)
    return _json_lines(path, name)


def _json_lines(path: Path, name: str) -> Iterable[Row]:
    try:
        with path.open("rb") as file:
            for line, text in enumerate(file, start=1):
                text = text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text  # noqa: PLW2901  # editors write it
                if not text.strip():
                    continue
                try:
                    yield line, decode(text)
                except ValueError as error:
                    yield line, error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from error


def _case(row: object, *, line: int, needs_expected: bool) -> Case:
    """One row as a case; raises ValueError with everything that is wrong with it."""
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, dict):
        raise ValueError('a case is a JSON object: {"id": ..., "request": ..., "expected": ...}')  # noqa: TRY004  # data
    problems = [*_unknown_keys(row), *_wrong_parts(row, needs_expected=needs_expected)]
    if problems:
        raise ValueError("; ".join(problems))
    return Case(
        id=row["id"],
        request=row["request"],
        expected=row.get("expected"),
        compare=row.get("compare") or {},
        tags=row.get("tags") or {},
        weight=float(row["weight"]) if row.get("weight") is not None else 1.0,
        line=line,
    )


def _unknown_keys(row: dict[str, object]) -> list[str]:
    problems = []
    for key in row:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            problems.append(f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return problems


def _wrong_parts(row: dict[str, object], *, needs_expected: bool) -> list[str]:
    problems = []
    name = row.get("id")
    if name is None:
        problems.append('"id" is missing; give each case a unique text')
    elif not isinstance(name, str) or not name:
        problems.append(f'"id" must be text that is not empty, not {name!r}')
    if not isinstance(row.get("request"), dict):
        problems.append(f'"request" {_missing_or(row, "request")}; it is the request\'s body, an object')
    if row.get("expected") is None and needs_expected:
        problems.append('"expected" is missing; say which fields to expect, or give the activity a baseline')
    elif row.get("expected") is not None and not isinstance(row["expected"], dict):
        problems.append('"expected" must be an object: {"content": "..."}')
    compare = row.get("compare")
    if compare is not None and not isinstance(compare, dict):
        problems.append('"compare" must be an object: {FIELD: {RULE: options}}')
    tags = row.get("tags")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(v, str) for v in tags.values())):
        problems.append('"tags" must map text to text')
    weight = row.get("weight")
    if weight is not None and not _is_weight(weight):
        problems.append(f'"weight" must be a number above 0, not {weight!r}')
    return problems


def _missing_or(row: dict[str, object], key: str) -> str:
    return "is missing" if row.get(key) is None else "is no object"


def _is_weight(weight: object) -> bool:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return number and math.isfinite(cast("float", weight)) and cast("float", weight) > 0


def _listed(name: str, problems: list[str]) -> str:
    more = len(problems) - MAX_PROBLEMS
    tail = [f"... and {more} more"] if more > 0 else []
    return "\n".join([f"{name} has {len(problems)} broken cases:", *problems[:MAX_PROBLEMS], *tail])
