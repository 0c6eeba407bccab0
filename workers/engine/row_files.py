"""Raw rows of a data file by their place: lines of JSON read one at a time, or a table held as JSON."""

import os
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from workers.contract.errors import DataError
from workers.contract.files.tables import MAX_LINE_BYTES, Form, read_table

MAX_ROWS = 20_000_000
"""Lines indexed at 24 bytes each: 480 MB; a larger file is split between activities."""

MAX_TABLE_BYTES = 256 * 1024 * 1024
"""A Parquet or CSV file is held as JSON rows, because its row groups cannot be read one row at a time."""

SCAN_BYTES = 4 * 1024 * 1024
"""Bytes scanned for line ends at once."""

BLANK_BYTES = 1
"""A line this short that holds only white space is blank (the CR of CRLF); longer ones are broken rows."""

_Places = npt.NDArray[np.int64]


class Source(Protocol):
    """Raw rows by their place, from 0."""

    count: int

    def text(self, place: int) -> bytes:
        """The row as JSON."""

    def where(self, place: int) -> str:
        """File and line, for a message."""

    def close(self) -> None:
        """Give the file back."""


class LineFile:
    """Lines of a JSONL file; blank ones are no rows."""

    def __init__(self, path: str, name: str) -> None:
        self._name = name
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(f"{name} cannot be opened: {error.strerror}") from error
        try:
            self._starts, self._lengths, self._numbers = _index(self._descriptor, name)
        except OSError as error:
            self.close()
            raise DataError(f"{name} cannot be read: {error.strerror}") from error
        except DataError:
            self.close()
            raise
        self.count = len(self._starts)

    def text(self, place: int) -> bytes:
        """The row as JSON."""
        length, start = int(self._lengths[place]), int(self._starts[place])
        text = os.pread(self._descriptor, length, start)
        if len(text) < length:
            raise DataError(f"{self.where(place)}: the file became shorter while it was in use")
        return text.removeprefix(b"\xef\xbb\xbf") if start == 0 else text  # editors write a byte order mark

    def where(self, place: int) -> str:
        """File and line, for a message."""
        return f"{self._name}:{int(self._numbers[place])}"

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class TableFile:
    """Rows of a Parquet or CSV file, held as JSON."""

    def __init__(self, path: str, name: str, *, form: Form) -> None:
        self._name = name
        self._rows: list[bytes] = []
        size_bytes = 0
        for number, row in enumerate(read_table(Path(path), name=name, form=form), start=1):
            if isinstance(row, ValueError):
                raise DataError(f"{name}:row {number}: {row}")
            self._rows.append(msgspec.json.encode(row))
            size_bytes += len(self._rows[-1])
            if size_bytes > MAX_TABLE_BYTES:
                limit_mib = MAX_TABLE_BYTES // 2**20
                raise DataError(f"{name} holds more than {limit_mib} MiB as JSON; convert it to JSON lines")
        self.count = len(self._rows)

    def text(self, place: int) -> bytes:
        """The row as JSON."""
        return self._rows[place]

    def where(self, place: int) -> str:
        """File and row, for a message."""
        return f"{self._name}:row {place + 1}"

    def close(self) -> None:
        """Give the file back."""
        self._rows.clear()


def _index(descriptor: int, name: str) -> tuple[_Places, _Places, _Places]:
    """Start, length and line number of each row of a file."""
    ends: list[_Places] = []
    offset = found = 0
    while block := os.pread(descriptor, SCAN_BYTES, offset):
        at = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n")).astype(np.int64) + offset
        ends.append(at)
        found += len(at)
        offset += len(block)
        if found > MAX_ROWS:
            raise DataError(f"{name} has more than {MAX_ROWS:,} lines; split it")
    stops = np.concatenate([*ends, np.array([offset], np.int64)])
    starts = np.concatenate([np.zeros(1, np.int64), stops[:-1] + 1])
    lengths = stops - starts
    numbers = np.arange(1, len(starts) + 1, dtype=np.int64)
    if len(lengths) and int(lengths.max()) > MAX_LINE_BYTES:
        line = int(numbers[int(lengths.argmax())])
        raise DataError(
            f"{name}:{line}: a row of more than {MAX_LINE_BYTES // 2**20} MiB; are line ends missing?"
        )
    keep = lengths > 0
    for place in np.flatnonzero(keep & (lengths <= BLANK_BYTES)):
        keep[place] = bool(os.pread(descriptor, int(lengths[place]), int(starts[place])).strip())
    return starts[keep], lengths[keep], numbers[keep]
