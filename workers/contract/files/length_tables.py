"""Recorded lengths in a CSV or Parquet table: two numbers a row in memory, however many rows there are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from workers.contract.errors import DataError
from workers.contract.files.tables import Form
from workers.contract.files.trace_columns import columns_of
from workers.contract.files.trace_formats import MAX_LENGTH, TraceFormat, format_of
from workers.contract.files.traces import MAX_ROWS

BATCH_ROWS = 65_536

Codes = npt.NDArray[np.int32]


def has_lengths(path: Path, *, name: str, form: Form) -> bool:
    """Whether a table holds recorded lengths and nothing else that would be sent. Raises DataError."""
    columns = columns_of(path, name=name, form=form)
    found = format_of(columns)
    return (
        found is not None
        and bool(found.input)
        and {"prompt", "messages", "request", "input"}.isdisjoint(columns)
        and (not found.ids or found.ids not in columns)
    )


class LengthTable:
    """Rows of such a table, as JSON. Raises DataError where a cell makes no sense, naming its row."""

    def __init__(self, path: Path, *, name: str, form: Form, tags: Sequence[str]) -> None:
        columns = columns_of(path, name=name, form=form)
        missing = [tag for tag in tags if tag not in columns]
        if missing:
            raise DataError(
                f"{name} has no column {missing[0]!r}, though `tags` names it: {', '.join(columns)}"
            )
        found = format_of(columns)
        assert found is not None  # noqa: S101  # `has_lengths` said so
        self._name, self._format = name, found
        inputs, outputs = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        codes: list[list[Codes]] = [[np.empty(0, np.int32)] for _ in tags]
        known: list[dict[str, int]] = [{} for _ in tags]
        self.count = 0
        for batch in _batches(path, name=name, form=form, found=found, tags=tags):
            inputs.append(self._lengths(found.input, batch.column(0)))
            outputs.append(self._lengths(found.output, batch.column(1)))
            for place in range(len(tags)):
                codes[place].append(_coded(batch.column(2 + place), known[place]))
            self.count += batch.num_rows
            if self.count > MAX_ROWS:
                raise DataError(f"{name} has more than {MAX_ROWS:,} rows; split it")
        self._inputs, self._outputs = np.concatenate(inputs), np.concatenate(outputs)
        self._tags = [(tag, np.concatenate(codes[at]), list(known[at])) for at, tag in enumerate(tags)]

    def text(self, place: int) -> bytes:
        """The row as JSON."""
        row: dict[str, object] = {
            self._format.input: int(self._inputs[place]),
            self._format.output: int(self._outputs[place]),
        }
        row.update((tag, values[codes[place]]) for tag, codes, values in self._tags)
        return msgspec.json.encode(row)

    def where(self, place: int) -> str:
        """File and row, for a message."""
        return f"{self._name}:row {place + 1}"

    def close(self) -> None:
        """The numbers go with the object."""

    def _lengths(self, column: str, cells: Any) -> Codes:
        import pyarrow as pa  # noqa: PLC0415  # 150 ms; only for tables

        try:
            numbers = np.asarray(cells.cast(pa.float64()).fill_null(np.nan))
        except (pa.ArrowException, NotImplementedError) as error:
            raise DataError(f"{self._name}: {column} holds no numbers: {error}") from error
        good = (numbers >= 0) & (numbers <= MAX_LENGTH) & (numbers == np.floor(numbers))
        if not good.all():
            place = int(np.argmin(good))
            raise DataError(
                f"{self._name}:row {self.count + place + 1}: {column} must be a whole number from 0 to "
                f"{MAX_LENGTH:,}, not {cells[place].as_py()!r}"
            )
        return numbers.astype(np.int32)


def _coded(cells: Any, known: dict[str, int]) -> Codes:
    """Each value as a number; `known` grows by what is new."""
    coded = cells.dictionary_encode()
    words = ["" if one is None else str(one) for one in coded.dictionary.to_pylist()]
    numbers = np.array([*(known.setdefault(word, len(known)) for word in words), -1], np.int32)
    places = (
        np.asarray(coded.indices.fill_null(len(words)))
        if coded.indices.null_count
        else np.asarray(coded.indices)
    )
    if coded.indices.null_count:
        numbers[-1] = known.setdefault("", len(known))
    codes: Codes = numbers[places]
    return codes


def _batches(path: Path, *, name: str, form: Form, found: TraceFormat, tags: Sequence[str]) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.csv  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    columns = [found.input, found.output, *tags]
    try:
        if form == "parquet":
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(BATCH_ROWS, columns=columns):
                yield batch.select(columns)
            return
        types = {found.input: pa.float64(), found.output: pa.float64(), **dict.fromkeys(tags, pa.string())}
        options = pyarrow.csv.ConvertOptions(include_columns=columns, column_types=types)
        reading = pyarrow.csv.ReadOptions(use_threads=False)
        yield from pyarrow.csv.open_csv(path, read_options=reading, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{name} cannot be read as {form}: {error}") from error
