"""Requests ready to be sent: those of rows that come round again are built once."""

from collections.abc import Callable, Mapping
from typing import Final

from workers.engine.data import Rows
from workers.protocols.contract import Request

MOST_BYTES: Final = 64 * 1024 * 1024
"""Bodies kept; rows beyond it are read and built each time they are due."""
ROW_BYTES: Final = 1024
"""Counted for each, beside its body."""

Made = tuple[Request, Mapping[str, str]]
"""A request and its row's tags; neither is ever changed."""


class Prepared:
    """What arrivals send: a pure function of the arrival's index, remembered by row where rows repeat."""

    __slots__ = ("_build", "_bytes", "_made", "_rows")

    def __init__(self, rows: Rows, build: Callable[[Mapping[str, object]], Request]) -> None:
        self._rows = rows
        self._build = build
        self._made: dict[int, Made] = {}
        self._bytes = 0

    def of(self, index: int) -> Made | None:
        """The request of arrival `index`; None past the end of data that stops.

        Raises DataError or ProtocolError where the row is broken or does not fit.
        """
        key = self._rows.key(index)
        if key is not None and (made := self._made.get(key)) is not None:
            return made
        row = self._rows.row(index)
        if row is None:
            return None
        made = (self._build(row.request), row.tags)
        if key is not None and self._bytes < MOST_BYTES:
            self._bytes += ROW_BYTES + len(made[0].body)
            self._made[key] = made
        return made
