"""Where a recording keeps its times: the columns of a file, and the one of times, piece by piece."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from workers.contract.errors import DataError
from workers.contract.files.tables import Form, full_lines
from workers.contract.files.trace_formats import TraceFormat
from workers.contract.json_text import decode

CHUNK_ROWS: Final = 65_536
MAX_PROBLEMS: Final = 20
"""Broken rows listed before the rest is left out: enough to see the pattern."""

Lines = npt.NDArray[np.int64]
Chunk = tuple[Lines, Any]
"""Lines (rows of a table), and their times as an Arrow array or, where they are of several types, a list."""
Problems = list[tuple[int, str]]
"""What is wrong, and in which line."""


def columns_of(path: Path, *, name: str, form: Form) -> list[str]:
    """The columns of a table, or the keys of the first line of JSON. Raises DataError."""
    try:
        if form == "parquet":
            return list(_parquet(path, name).schema_arrow.names)
        if form == "csv":
            with path.open(encoding="utf-8-sig", newline="") as text:
                return next((row for row in csv.reader(text) if row), [])
        with path.open("rb") as file:
            for line, text_line in full_lines(file, name):
                row = _object(text_line, f"{name}:{line}")
                return [str(key) for key in row]
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8: {error}") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    raise DataError(f"{name} has no rows; a trace has at least two arrivals")


def chunks_of(
    path: Path, *, name: str, form: Form, found: TraceFormat, problems: Problems
) -> Iterator[Chunk]:
    """The column of times, piece by piece; lines that hold none become `problems`. Raises DataError."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        if form == "lines":
            yield from _of_lines(path, name, found=found, problems=problems)
            return
        first = 1
        for batch in _of_table(path, name=name, form=form, column=found.time):
            column = batch.column(0)
            yield np.arange(first, first + len(column), dtype=np.int64), column
            first += len(column)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{name} cannot be read as {form}: {error}") from error


def _of_table(path: Path, *, name: str, form: Form, column: str) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.csv  # noqa: PLC0415

    if form == "parquet":
        yield from _parquet(path, name).iter_batches(CHUNK_ROWS, columns=[column], use_threads=False)
        return
    options = pyarrow.csv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
    reading = pyarrow.csv.ReadOptions(use_threads=False)
    yield from pyarrow.csv.open_csv(path, read_options=reading, convert_options=options)


def _parquet(path: Path, name: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{name} cannot be read as parquet: {error}") from error


def _of_lines(path: Path, name: str, *, found: TraceFormat, problems: Problems) -> Iterator[Chunk]:
    """The times of JSON lines; every line has the columns of the first one's format."""
    fields = [("time", object), *((f"c{place}", object) for place, _ in enumerate(found.needed[1:]))]
    names = dict(zip((key for key, _ in fields), found.needed, strict=True))
    row = msgspec.json.Decoder(msgspec.defstruct("Row", fields, rename=names))
    lines: list[int] = []
    times: list[object] = []
    with path.open("rb") as file:
        for line, text in full_lines(file, name):
            try:
                times.append(row.decode(text).time)  # type: ignore[attr-defined]  # made above
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                problems.append((line, _not_a_row(error, found)))
                if len(problems) >= MAX_PROBLEMS:
                    break
                continue
            lines.append(line)
            if len(lines) >= CHUNK_ROWS:
                yield np.array(lines, np.int64), times
                lines, times = [], []
    yield np.array(lines, np.int64), times


def _not_a_row(error: Exception, found: TraceFormat) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"is no row of a {found.name} trace as the first one is: {error}"
    return f"not JSON: {error}"


def _object(text: bytes, where: str) -> dict[object, object]:
    try:
        row = decode(text)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f'{where}: a row is a JSON object, e.g. {{"timestamp": 0.25}}')
    return row
