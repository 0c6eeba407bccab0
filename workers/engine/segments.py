"""Which values of the rows' tags are counted apart though no expression names them: those of few values.

A tag that is told apart costs the engine 1 µs a request (1 to 2% of one), and each of its values has sketches
of its own in every second's snapshot, which a leader adds up over all shards; so a tag of many values (say a
user's id) is not told apart.
"""

from collections.abc import Sequence

from workers.contract.data import FileData
from workers.contract.errors import DataError
from workers.contract.snapshot import MOST_VALUES
from workers.contract.spec import LoadSpec
from workers.engine.data import Rows

LOOK_ROWS = 10_000
"""Rows that are looked at: 0.1 s. The same ones in every shard, so all shards tell the same values apart."""

Wanted = tuple[tuple[str, str], ...]


def tag_groups(spec: LoadSpec, rows: Rows) -> Wanted:
    """(tag, value) of every group that requests are counted in: those of expressions, then the few others."""
    tags = spec.data.tags if isinstance(spec.data, FileData) else ()
    return tuple(dict.fromkeys((*spec.tag_groups, *few_values(rows, tags))))


def few_values(rows: Rows, tags: Sequence[str]) -> Wanted:
    """The values of those `tags` that have at most MOST_VALUES in the rows that are looked at, sorted."""
    found: dict[str, set[str]] = {tag: set() for tag in tags}
    first = 0
    for index in range(LOOK_ROWS if tags else 0):
        try:
            row = rows.row(index)
        except DataError:  # told, with its line, when its turn comes
            break
        if row is None or (index and row.number == first):
            break
        first = first or row.number
        for tag in [tag for tag in found if tag in row.tags]:
            found[tag].add(row.tags[tag])
            if len(found[tag]) > MOST_VALUES:
                del found[tag]
        if not found:
            break
    return tuple((tag, value) for tag, values in found.items() for value in sorted(values))
