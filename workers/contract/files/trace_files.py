"""Read when requests came from a file of recorded traffic: JSON lines, CSV or Parquet; errors name the line.

Only the column of times is read, piece by piece, so that 20 million rows take 160 MB and a few seconds.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workers.contract.errors import DataError
from workers.contract.files.tables import Form, form_of
from workers.contract.files.trace_columns import MAX_PROBLEMS, Lines, Problems, chunks_of, columns_of
from workers.contract.files.trace_formats import TraceFormat, format_of, unknown_columns
from workers.contract.files.traces import MAX_ROWS, Times

EXACT_BELOW_S: Final = 4e6
"""A larger number of seconds as a float is no longer exact to 1 ns; it is taken to the microsecond."""

_UNREADABLE: Final = (ValueError, TypeError, OverflowError, ArithmeticError, NotImplementedError)
"""What numpy and Arrow raise for values that are no times."""


def read_trace(path: Path, *, name: str) -> Times:
    """When each arrival came: whole ns since the first.

    `name` is what a person calls the file. Raises DataError with all that is wrong, by line.
    """
    form = form_of(path, name=name)
    columns = columns_of(path, name=name, form=form)
    found = format_of(columns)
    if found is None:
        raise DataError(f"{name} is {unknown_columns(columns)}")
    clock = _Clock(found, name)
    for lines, values in chunks_of(path, name=name, form=form, found=found, problems=clock.problems):
        clock.take(lines, values)
        if clock.count > MAX_ROWS:
            raise DataError(f"{name} has more than {MAX_ROWS:,} rows; split it")
        if len(clock.problems) >= MAX_PROBLEMS:
            break
    if clock.problems:
        raise DataError(_listed(path, clock, form=form))
    if clock.count < 2:
        rows = "one row" if clock.count else "no rows"
        raise DataError(f"{name} has {rows}; a trace has at least two arrivals")
    return np.concatenate(clock.parts)


class _Clock:
    """Turns times as written into ns since the first, and notes what is wrong with them."""

    def __init__(self, form: TraceFormat, name: str) -> None:
        self.form, self.name = form, name
        self.parts: list[Times] = []
        self.problems: Problems = []
        self.count = 0
        self._kind = ""
        self._first: Any = None
        self._last: tuple[int, object] = (0, "")

    def take(self, lines: Lines, values: Any) -> None:
        """More times, in the file's order."""
        try:
            times = self._times(values)
        except _UNREADABLE:
            lines, values, times = self._good(lines, values)
        if not len(times):
            return
        self._look_back(lines, values, times)
        self.parts.append(times)
        self.count += len(times)

    def _good(self, lines: Lines, values: Any) -> tuple[Lines, list[object], Times]:
        """One by one: which of them can be read; the others are noted."""
        kept: list[tuple[int, object, int]] = []
        for line, one in zip(lines.tolist(), _plain(values), strict=True):
            try:
                kept.append((line, one, int(self._times([one])[0])))
            except _UNREADABLE:
                self.problems.append((line, self._why(one)))
                if len(self.problems) >= MAX_PROBLEMS:
                    break
        numbers = np.array([line for line, _, _ in kept], np.int64)
        return numbers, [one for _, one, _ in kept], np.array([time for _, _, time in kept], np.int64)

    def _why(self, value: object) -> str:
        if value is None or value == "":
            return f"{self.form.time} is empty"
        wanted = {"number": "a number, as those before it", "date": "a date-time, as those before it"}
        what = wanted.get(self._kind, "a number of seconds or a date-time like 2023-11-16 18:15:46.68")
        return f"{self.form.time} is {str(value)[:60]!r}, not {what}"

    def _times(self, values: Any) -> Times:
        """Raises ValueError (Arrow's own among them) where one of the values cannot be read."""
        import pyarrow as pa  # noqa: PLC0415  # 150 ms; only for traces

        array = pa.array(values) if isinstance(values, list) else values
        if array.null_count or len(array) == 0 or pa.types.is_boolean(array.type):
            raise ValueError("empty")
        dated = pa.types.is_timestamp(array.type)
        kind = self._kind or ("date" if dated or (_is_text(array) and not _is_number(array[0])) else "number")
        if kind == "number":
            times = self._of_numbers(np.asarray(array.cast(pa.float64())))
        elif dated or _is_text(array):
            times = self._of_dates(array)
        else:
            raise ValueError("a number among date-times")
        self._kind = kind
        return times

    def _of_numbers(self, numbers: npt.NDArray[np.float64]) -> Times:
        if not np.isfinite(numbers).all():
            raise ValueError("not finite")
        first = float(numbers[0]) if self._first is None else self._first
        step_ns = 1000 if abs(first) * self.form.unit_s >= EXACT_BELOW_S else 1
        away = np.rint((numbers - first) * (self.form.unit_s * 1e9 / step_ns))
        if (np.abs(away) >= 2**62 / step_ns).any():
            raise ValueError("too far away")
        self._first = first
        return away.astype(np.int64) * step_ns

    def _of_dates(self, array: Any) -> Times:
        import pyarrow as pa  # noqa: PLC0415

        try:
            moments = array.cast(pa.timestamp("ns"))
        except pa.ArrowInvalid:
            moments = array.cast(pa.timestamp("ns", "UTC"))  # date-times that name their zone
        numbers = np.asarray(moments.cast(pa.int64()))
        zoned = getattr(moments.type, "tz", None) is not None
        first = (int(numbers[0]), zoned) if self._first is None else self._first
        if first[1] != zoned:
            raise ValueError("date-times with and without a zone")
        self._first = first
        return numbers - first[0]

    def _look_back(self, lines: Lines, values: Any, times: Times) -> None:
        """Note each arrival that is earlier than the one before it."""
        steps = np.diff(times, prepend=self._last[0])
        for place in np.flatnonzero(steps < 0)[:MAX_PROBLEMS].tolist():
            before = self._last[1] if place == 0 else _plain(values[place - 1 : place])[0]
            now = _plain(values[place : place + 1])[0]
            why = f"{self.form.time} goes backwards, from {before} to {now}; sort the rows by it"
            self.problems.append((int(lines[place]), why))
        self._last = int(times[-1]), _plain(values[len(times) - 1 :])[0]


def _plain(values: Any) -> list[object]:
    return values if isinstance(values, list) else [_shown(one) for one in values]


def _shown(value: Any) -> object:
    """An Arrow value as Python's own; Python's date-times are coarser than Arrow's, so those become text."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(value.type):
        return str(value.cast(pa.string()).as_py()) if value.is_valid else None
    return value.as_py()


def _is_text(array: Any) -> bool:
    return str(array.type) in {"string", "large_string"}


def _is_number(value: Any) -> bool:
    try:
        float(value.as_py())
    except ValueError:
        return False
    return True


def _listed(path: Path, clock: _Clock, *, form: Form) -> str:
    """All problems in the order of the file, each with its line."""
    problems = sorted(clock.problems)[:MAX_PROBLEMS]
    lines = [number for number, _ in problems]
    if form == "csv":
        lines = _csv_lines(path, lines)
    place = "row " if form == "parquet" else ""
    said = [f"{clock.name}:{place}{line}: {why}" for line, (_, why) in zip(lines, problems, strict=True)]
    rest = ["... (the rest of the file was not looked at)"] if len(clock.problems) >= MAX_PROBLEMS else []
    return "\n".join([*said, *rest])


def _csv_lines(path: Path, rows: list[int]) -> list[int]:
    """The lines of a CSV file's rows (from 1, in order): after the header's, blank ones are no rows."""
    found: list[int] = []
    with path.open("rb") as file:
        full = (line for line, text in enumerate(file, start=1) if text.strip())
        next(full, None)
        for before, row in pairwise([0, *rows]):
            for _ in range(row - before):
                line = next(full, 0)
            found.append(line if row > before else found[-1])
    return found
