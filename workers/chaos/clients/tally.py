"""Counters of clients in a file of shared memory: exact up to the moment at which their process is killed.

Slots of 64 bytes: the count, then its name. A count is raised after what it counts was done.
"""

import mmap
import os
from pathlib import Path
from typing import Final

TALLY: Final = "tally"
"""The file's name, in the fault's own folder."""
LATE: Final = "late_ms"
"""The one counter that is no count: how late the latest visit began."""

_SLOT_BYTES = 64
_SLOTS = 512
"""Names: some thirty, and at most a few hundred by status."""
_COUNT_BYTES = 8
_MOST_NAME_BYTES = _SLOT_BYTES - _COUNT_BYTES - 1


class Tally:
    """The side that counts; one process has it."""

    def __init__(self, path: Path) -> None:
        """Make the file, with nothing counted."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, _SLOT_BYTES * _SLOTS)
            self._bytes = mmap.mmap(handle, _SLOT_BYTES * _SLOTS)
        finally:
            os.close(handle)
        self._counts = memoryview(self._bytes).cast("q")
        self._places: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Count so many more of these; names beyond the last slot are not counted."""
        place = self._place(name)
        if place is not None:
            self._counts[place] += count

    def highest(self, name: str, value: int) -> None:
        """Keep the highest value."""
        place = self._place(name)
        if place is not None and value > self._counts[place]:
            self._counts[place] = value

    def _place(self, name: str) -> int | None:
        """Where a name's count is, in counts."""
        place = self._places.get(name)
        if place is None and len(self._places) < _SLOTS:
            start = len(self._places) * _SLOT_BYTES
            words = name.encode()[:_MOST_NAME_BYTES]
            self._bytes[start + _COUNT_BYTES + 1 : start + _COUNT_BYTES + len(words)] = words[1:]
            self._bytes[start + _COUNT_BYTES] = words[0]  # last: whoever sees it sees the rest
            place = self._places[name] = start // _COUNT_BYTES
        return place


def read(path: Path) -> dict[str, int]:
    """Read the counters of a tally, in the order of their first count; none where there is no file."""
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    found: dict[str, int] = {}
    for start in range(0, len(content) - _SLOT_BYTES + 1, _SLOT_BYTES):
        name = content[start + _COUNT_BYTES : start + _SLOT_BYTES].rstrip(b"\0").decode("utf-8", "replace")
        if not name:
            break
        found[name] = int.from_bytes(content[start : start + _COUNT_BYTES], "little", signed=True)
    return found
