"""Rows for arrivals: arrival k takes row k mod n of the activity's data, whichever shard or attempt asks.

A file is opened once and only the places of its lines are kept in memory; a line is read and parsed when its
arrival comes. Indexing happens at opening, before a phase is ready, because a scan under load would stall the
dispatcher.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from workers.contract.data import DataSpec, FileData, HistogramFile, Length, SyntheticData
from workers.contract.errors import DataError, ProtocolError
from workers.contract.files.data_rows import DataRow, read_row, recorded_lengths
from workers.contract.files.histograms import read_histogram
from workers.contract.files.length_tables import LengthTable, has_lengths
from workers.contract.files.tables import form_of
from workers.contract.json_text import decode
from workers.engine.row_files import LineFile, Source, TableFile
from workers.engine.synthetic import Prompts, Synthetic
from workers.engine.tape import Counter

__all__ = ("Build", "DataRow", "Rows", "located", "open_rows")

FIRST_ROWS = 200
"""Rows that are proved before a load is ready, from the first on: mistakes are mostly made throughout."""
SPREAD_ROWS = 800
"""Rows that are proved all over the file."""
PROVE_S = 0.3
"""Most time for it: phases are placed within seconds."""

Build = Callable[[Mapping[str, object]], object]
"""A protocol's way from a row to a request; raises ProtocolError where the row does not fit."""


class Rows(Protocol):
    """The rows of an activity."""

    def row(self, index: int) -> DataRow | None:
        """The row of arrival `index`; None past the end of data that stops. Raises DataError if broken."""

    def key(self, index: int) -> int | None:
        """What arrivals with the very same row have in common; None where this one's is its own, or none."""

    def close(self) -> None:
        """Give the file back."""


def open_rows(
    spec: DataSpec,
    *,
    seed: int,
    stream: str = "",
    build: Build | None = None,
    counter: Counter | None = None,
) -> Rows:
    """Open an activity's data. `stream` is the activity's name, so that two of them draw differently.

    `build`: what will be made of its rows; a sample of them is proved. `counter`: by whose tokens lengths are
    measured; None: words. Raises DataError where the file is missing, empty, too large, or one of its rows
    that were looked at is broken.
    """
    if not isinstance(spec, FileData):
        return _SyntheticRows(Synthetic(spec, seed=seed, stream=stream, counter=counter))
    name = spec.name or spec.path
    source = _source(spec, name)
    try:
        made_up = spec.lengths and _is_recorded(source)
        prompts = Prompts(seed=seed, stream=stream, counter=counter) if made_up else None
        rows = _FileRows(source, spec, seed=seed, stream=stream, prompts=prompts)
        rows.prove(build)
    except DataError:
        source.close()
        raise
    return rows


def located(data: DataSpec, files: Mapping[str, str]) -> DataSpec:
    """The same data, at its place on this machine: files travel by their sha256. Raises DataError."""
    if isinstance(data, FileData):
        return msgspec.structs.replace(
            data, path=files.get(data.path, data.path), name=data.name or data.path
        )
    return SyntheticData(
        input_tokens=_read(data.input_tokens, files),
        output_tokens=_read(data.output_tokens, files),
        shared_prefix=_read(data.shared_prefix, files),
    )


def _read(length: Length, files: Mapping[str, str]) -> Length:
    if not isinstance(length, HistogramFile):
        return length
    return read_histogram(Path(files.get(length.path, length.path)), name=length.name)


def _source(spec: FileData, name: str) -> Source:
    path = Path(spec.path)
    form = form_of(path, name=name)
    if form == "lines":
        return LineFile(spec.path, name)
    if spec.lengths and has_lengths(path, name=name, form=form):
        return LengthTable(path, name=name, form=form, tags=spec.tags)
    return TableFile(spec.path, name, form=form)


def _is_recorded(source: Source) -> bool:
    """Whether the first row, and so each of them, holds lengths and no request of its own."""
    if not source.count:
        return False
    try:
        return recorded_lengths(decode(source.text(0)), where=source.where(0)) is not None
    except ValueError:
        return False  # said when the row is read


class _SyntheticRows:
    """Made-up rows: they never end and have no tags."""

    def __init__(self, made: Synthetic) -> None:
        self._made = made

    def row(self, index: int) -> DataRow | None:
        return DataRow(self._made.row(index), {}, index + 1)

    def key(self, index: int) -> int | None:  # noqa: ARG002  # of `Rows`
        return None

    def close(self) -> None:
        """Nothing is held."""


class _FileRows:
    """Rows of a file in its order, or in one shuffled order that every pass repeats."""

    def __init__(
        self, source: Source, spec: FileData, *, seed: int, stream: str, prompts: Prompts | None
    ) -> None:
        self._source = source
        self._name = spec.name or spec.path
        self._spec = spec
        self._prompts = prompts
        self._order = _shuffled(source.count, seed=seed, stream=stream) if spec.order == "shuffle" else None

    def row(self, index: int) -> DataRow | None:
        count = self._source.count
        if count == 0:
            raise DataError(f"{self._name} has no rows; write one JSON object a line")
        if index >= count and self._spec.at_end == "stop":
            return None
        return self._at(self._place(index), index)

    def key(self, index: int) -> int | None:
        ends = self._spec.at_end == "stop" or not self._source.count
        if self._prompts is not None or (ends and index >= self._source.count):
            return None
        place = index % self._source.count
        return place if self._order is None else int(self._order[place])

    def _place(self, index: int) -> int:
        place = index % self._source.count
        return place if self._order is None else int(self._order[place])

    def _at(self, place: int, index: int) -> DataRow:
        where = self._source.where(place)
        try:
            value = decode(self._source.text(place))
        except ValueError as error:
            raise DataError(f"{where}: {error}") from error
        row = read_row(value, self._spec.tags, where=where, number=place + 1)
        lengths = recorded_lengths(value, where=where) if self._prompts is not None else None
        if lengths is None or self._prompts is None:
            return row
        return msgspec.structs.replace(row, request=self._prompts.recorded(lengths, index))

    def prove(self, build: Build | None) -> None:
        """Read a sample of the rows, the first among them, and build their requests. Raises DataError."""
        count = self._source.count
        self.row(0)
        until_s = time.monotonic() + PROVE_S
        spread = range(FIRST_ROWS, count, max(1, count // SPREAD_ROWS))
        for place in chain(range(min(FIRST_ROWS, count)), spread, (count - 1,)):
            row = self._at(place, place)
            try:
                if build is not None:
                    build(row.request)
            except ProtocolError as error:
                raise DataError(f"{self._source.where(place)}: {error}") from error
            if time.monotonic() > until_s:
                return

    def close(self) -> None:
        self._source.close()


def _shuffled(count: int, *, seed: int, stream: str) -> npt.NDArray[np.int64]:
    name = int.from_bytes(hashlib.sha256(f"rows/{stream}".encode()).digest()[:8], "big")
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, name])))
    return generator.permutation(count)
