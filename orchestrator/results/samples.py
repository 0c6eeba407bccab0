"""Samples as they stand at the runs URL: how many rows and files of each activity there are."""

import posixpath
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator import urls

AT_ONCE: Final = 16
"""Files whose last bytes are read at once: a long run at an object store has thousands."""
SUFFIX: Final = ".parquet"

Stored = Mapping[str, tuple[int, int]]
"""Activity key -> (rows, files)."""


def stored_samples(folder: str) -> Stored:
    """What stands in a campaign's folder of samples now. Raises OSError, UsageError."""
    found: dict[str, tuple[int, int]] = {}
    names = [name for name in urls.names_in(folder) if name.endswith(SUFFIX)]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="samples") as pool:
        counts = list(pool.map(lambda name: _rows(posixpath.join(folder, name)), names))
    for name, count in zip(names, counts, strict=True):
        activity = name.rsplit("-", 3)[0].replace(".", "/")
        rows, files = found.get(activity, (0, 0))
        found[activity] = (rows + count, files + 1)
    return found


def _rows(url: str) -> int:
    """Rows of a file by its last bytes; 0 where it is none of ours, or broken."""
    with urls.opened(url) as file:
        try:
            return int(pq.read_metadata(file).num_rows)
        except pa.ArrowException:
            return 0
