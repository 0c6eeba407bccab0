"""Rows of a Parquet or CSV file in the form that JSON lines have (CAMPAIGN.md section 8).

Columns `request`, `expected`, `compare` and `tags` hold JSON text. For tensors, columns `input.NAME` become a
request of the Open Inference Protocol (a scalar has shape [1], a list [1, n]), `expected.NAME` the flat data
of an output, `tags.NAME` a tag. An empty cell is left out. Every other column stays as it is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

from workers.contract.errors import DataError
from workers.contract.json_text import decode

BATCH_ROWS = 4096
"""Rows turned into Python values at once: bounds the memory for wide tensors."""

MAX_LINE_BYTES = 16 * 1024 * 1024
"""One row; a longer line is a file without line ends."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PARQUET_MAGIC = b"PAR1"
_JSON_COLUMNS = frozenset({"request", "expected", "compare", "tags"})
_TENSOR, _WANTED, _TAG = "input.", "expected.", "tags."
_DATATYPES = {"halffloat": "FP16", "float": "FP32", "double": "FP64", "bool": "BOOL", "string": "BYTES"}
_CSV_DATATYPES = {"FP64": "FP32"}
"""A CSV file does not say how wide its numbers are; models take FP32 by far the most often."""


Form = Literal["parquet", "csv", "lines"]


def form_of(path: Path, *, name: str) -> Form:
    """How a data file is written, by the name that a person gave it; Parquet also by its first bytes.

    A worker keeps files under their sha256, so `path` itself may say nothing. An unreadable file is `lines`.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".csv":
        return "csv"
    try:
        with path.open("rb") as file:
            magic = file.read(len(_PARQUET_MAGIC))
    except OSError:
        magic = b""
    return "parquet" if suffix == ".parquet" or magic == _PARQUET_MAGIC else "lines"


def read_rows(path: Path, *, name: str, form: Form) -> Iterator[tuple[int, object]]:
    """Each row with its line (of a table: its number), from 1; a ValueError says what is wrong with one.

    `name` is what messages call the file. Raises DataError where the file as a whole cannot be read.
    """
    if form != "lines":
        yield from enumerate(read_table(path, name=name, form=form), start=1)
        return
    try:
        with path.open("rb") as file:
            for line, text in full_lines(file, name):
                yield line, _json_line(text)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from error


def full_lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers from 1. Raises DataError for one without end."""
    line = 0
    while text := file.readline(MAX_LINE_BYTES + 1):
        line += 1
        if len(text) > MAX_LINE_BYTES:
            limit_mib = MAX_LINE_BYTES // 2**20
            raise DataError(f"{name}:{line}: a row of more than {limit_mib} MiB; are line ends missing?")
        text = text.removeprefix(_BYTE_ORDER_MARK) if line == 1 else text
        if text.strip():
            yield line, text


def _json_line(text: bytes) -> object:
    try:
        return decode(text)
    except ValueError as error:
        return error


def read_table(path: Path, *, name: str, form: Form) -> Iterator[dict[str, object] | ValueError]:
    """Yield each row as a mapping, or a ValueError that says what is wrong with it.

    `name` is what messages call the file. Raises DataError where the file as a whole cannot be read.
    """
    types: dict[str, str] = {}
    for batch in _batches(path, name=name, form=form):
        types = types or {field.name: _datatype(field.type, csv=form == "csv") for field in batch.schema}
        for row in batch.to_pylist():
            cells = {column: cell for column, cell in row.items() if cell != ""} if form == "csv" else row
            try:
                yield _row(cells, types)
            except ValueError as error:
                yield error


def _batches(path: Path, *, name: str, form: Form) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415  # 150 ms; only for tables
    import pyarrow.csv  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        if form == "parquet":
            with pyarrow.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(BATCH_ROWS, use_threads=False)
            return
        reading = pyarrow.csv.ReadOptions(use_threads=False)
        newlines = pyarrow.csv.ParseOptions(newlines_in_values=True)
        table = pyarrow.csv.read_csv(path, read_options=reading, parse_options=newlines)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{name} cannot be read as {form}: {error}") from error
    yield from table.to_batches(max_chunksize=BATCH_ROWS)


def _datatype(kind: Any, *, csv: bool) -> str:
    """The Open Inference Protocol's name of a column's (or its items') Arrow type."""
    inner = kind
    while hasattr(inner, "value_type"):
        inner = inner.value_type
    name = str(inner).removeprefix("large_")
    datatype = _DATATYPES.get(name) or name.upper()  # int8 .. uint64 are named alike
    return _CSV_DATATYPES.get(datatype, datatype) if csv else datatype


def _row(row: dict[str, object], types: dict[str, str]) -> dict[str, object]:
    result: dict[str, object] = {}
    inputs: list[dict[str, object]] = []
    parts: dict[str, dict[str, object]] = {"expected": {}, "tags": {}}
    for column, cell in row.items():
        value = cell
        if value is None:
            continue
        if column in _JSON_COLUMNS:
            result[column] = _json(column, value)
        elif column.startswith(_TENSOR):
            inputs.append(_tensor(column, value, types[column]))
        elif column.startswith(_WANTED):
            value = _listed(column, value)
            parts["expected"][column.removeprefix(_WANTED)] = value if isinstance(value, list) else [value]
        elif column.startswith(_TAG):
            parts["tags"][column.removeprefix(_TAG)] = str(value)
        else:
            result[column] = value
    if inputs:
        result["request"] = {"inputs": inputs}
    for name, values in parts.items():
        if values:
            given = result.get(name)
            result[name] = {**given, **values} if isinstance(given, dict) else values
    return result


def _tensor(column: str, value: object, datatype: str) -> dict[str, object]:
    value = _listed(column, value)
    data = value if isinstance(value, list) else [value]
    if isinstance(value, list) and datatype == "BYTES":
        datatype = _datatype_of(value)
    shape = [1, len(data)] if isinstance(value, list) else [1]
    return {"name": column.removeprefix(_TENSOR), "shape": shape, "datatype": datatype, "data": data}


def _datatype_of(items: list[object]) -> str:
    """The type of a list that came as JSON text in a CSV cell."""
    if items and all(isinstance(item, bool) for item in items):
        return "BOOL"
    if items and all(isinstance(item, int) for item in items):
        return "INT64"
    return "BYTES" if any(isinstance(item, str) for item in items) else "FP32"


def _listed(column: str, value: object) -> object:
    """A list that stands as JSON text in a CSV cell; every other value as it is."""
    if isinstance(value, str) and value.startswith("["):
        return _json(column, value)
    return value


def _json(column: str, value: object) -> object:
    if not isinstance(value, str):
        return value  # a Parquet struct or map
    try:
        return decode(value)
    except ValueError as error:
        raise ValueError(f"column {column} holds no JSON: {error}") from error
