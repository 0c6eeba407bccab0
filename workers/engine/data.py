"""Rows for arrivals: arrival k takes row k mod n of the activity's data, whichever shard or attempt asks.

A file is opened once and only the places of its lines are kept in memory; a line is read and parsed when its
arrival comes. Indexing happens at opening, before a phase is ready, because a scan under load would stall the
dispatcher.
"""

import hashlib
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from workers.contract.data import DataSpec, FileData
from workers.contract.errors import DataError
from workers.contract.json_text import decode
from workers.contract.tables import form_of
from workers.engine.row_files import LineFile, Source, TableFile
from workers.engine.synthetic import Synthetic

_ROW_KEYS = frozenset({"id", "request", "expected", "compare", "tags", "weight"})


class DataRow(msgspec.Struct, frozen=True):
    """One row: the request for the protocol, the tags for the recorder, its number (from 1) in the file."""

    request: dict[str, object]
    tags: dict[str, str]
    number: int


class Rows(Protocol):
    """The rows of an activity."""

    def row(self, index: int) -> DataRow | None:
        """The row of arrival `index`; None past the end of data that stops. Raises DataError if broken."""

    def close(self) -> None:
        """Give the file back."""


def open_rows(spec: DataSpec, *, seed: int, stream: str = "") -> Rows:
    """Open an activity's data. `stream` is the activity's name, so that two of them draw differently.

    Raises DataError where the file is missing, empty, too large or its first row is broken.
    """
    if not isinstance(spec, FileData):
        return _SyntheticRows(Synthetic(spec, seed=seed, stream=stream))
    name = spec.name or spec.path
    form = form_of(Path(spec.path), name=name)
    source = LineFile(spec.path, name) if form == "lines" else TableFile(spec.path, name, form=form)
    try:
        rows = _FileRows(source, spec, seed=seed, stream=stream)
        rows.row(0)  # a broken first row is found before anything is sent
    except DataError:
        source.close()
        raise
    return rows


class _SyntheticRows:
    """Made-up rows: they never end and have no tags."""

    def __init__(self, made: Synthetic) -> None:
        self._made = made

    def row(self, index: int) -> DataRow | None:
        return DataRow(self._made.row(index), {}, index + 1)

    def close(self) -> None:
        """Nothing is held."""


class _FileRows:
    """Rows of a file in its order, or in one shuffled order that every pass repeats."""

    def __init__(self, source: Source, spec: FileData, *, seed: int, stream: str) -> None:
        self._source = source
        self._name = spec.name or spec.path
        self._spec = spec
        self._order = _shuffled(source.count, seed=seed, stream=stream) if spec.order == "shuffle" else None

    def row(self, index: int) -> DataRow | None:
        count = self._source.count
        if count == 0:
            raise DataError(f"{self._name} has no rows; write one JSON object a line")
        if index >= count and self._spec.at_end == "stop":
            return None
        place = index % count
        if self._order is not None:
            place = int(self._order[place])
        where = self._source.where(place)
        try:
            value = decode(self._source.text(place))
        except ValueError as error:
            raise DataError(f"{where}: {error}") from error
        if not isinstance(value, dict):
            raise DataError(f'{where}: a row is a JSON object, e.g. {{"prompt": "..."}}')
        return _read_row(value, self._spec.tags, where=where, number=place + 1)

    def close(self) -> None:
        self._source.close()


def _read_row(value: dict[str, object], columns: tuple[str, ...], *, where: str, number: int) -> DataRow:
    """Split a row into request and tags.

    A row with `request` is written as in a golden set, and only that is sent. Any other row is itself the
    request, less the columns that are tags.
    """
    tags: dict[str, str] = {}
    for column in columns:
        if column not in value:
            raise DataError(f"{where}: column {column!r} is missing, though `tags` names it")
        tags[column] = _tag(value[column])
    request = value.get("request")
    if isinstance(request, dict) and value.keys() <= _ROW_KEYS | set(columns):
        own = value.get("tags") or {}
        if not isinstance(own, dict):
            raise DataError(f'{where}: "tags" must map text to text')
        tags = {**{str(key): _tag(item) for key, item in own.items()}, **tags}
        return DataRow(request, tags, number)
    return DataRow({key: item for key, item in value.items() if key not in tags}, tags, number)


def _tag(value: object) -> str:
    """A tag's text: as JSON writes it, where it is not text already."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shuffled(count: int, *, seed: int, stream: str) -> npt.NDArray[np.int64]:
    name = int.from_bytes(hashlib.sha256(f"rows/{stream}".encode()).digest()[:8], "big")
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, name])))
    return generator.permutation(count)
