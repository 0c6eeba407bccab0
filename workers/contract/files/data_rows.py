"""A row of a data file: what of it is sent, and what tells it from others (CAMPAIGN.md sections 6 and 8).

It stands in the contract because both sides read it: `validate` to find broken rows before anything runs, the
engine to send them.
"""

from collections.abc import Sequence

import msgspec

from workers.contract.errors import DataError
from workers.contract.files.trace_formats import Lengths, lengths_of

_ROW_KEYS = frozenset({"id", "request", "expected", "compare", "tags", "weight"})


class DataRow(msgspec.Struct, frozen=True):
    """One row: the request for the protocol, the tags for the recorder, its number (from 1) in the file."""

    request: dict[str, object]
    tags: dict[str, str]
    number: int


def read_row(value: object, columns: Sequence[str], *, where: str, number: int) -> DataRow:
    """Split a row into request and tags; `columns` become tags.

    A row with `request` is written as in a golden set, and only that is sent. Any other row is itself the
    request, less the columns that are tags. Raises DataError.
    """
    if not isinstance(value, dict):
        raise DataError(f'{where}: a row is a JSON object, e.g. {{"prompt": "..."}}')
    tags: dict[str, str] = {}
    for column in columns:
        if column not in value:
            there = ", ".join(str(key) for key in list(value)[:12]) or "nothing"
            raise DataError(
                f"{where}: column {column!r} is missing or empty, though `tags` names it; there are: {there}"
            )
        tags[column] = _tag(value[column])
    request = value.get("request")
    if isinstance(request, dict) and value.keys() <= _ROW_KEYS | set(columns):
        own = value.get("tags") or {}
        if not isinstance(own, dict):
            raise DataError(f'{where}: "tags" must map text to text')
        tags = {**{str(key): _tag(item) for key, item in own.items()}, **tags}
        return DataRow(request, tags, number)
    return DataRow({key: item for key, item in value.items() if key not in tags}, tags, number)


def recorded_lengths(value: object, *, where: str) -> Lengths | None:
    """What a row tells of a recorded request's lengths; None for any other row. Raises DataError."""
    if not isinstance(value, dict):
        return None
    try:
        return lengths_of(value)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def _tag(value: object) -> str:
    """A tag's text: as JSON writes it, where it is not text already."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
