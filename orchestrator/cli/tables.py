"""Tables for people: Rich's on a terminal wide enough, aligned lines on a pipe, nothing ever cut off."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import compress
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.plain import plain, plain_json

LAST_COLUMN = 24
"""Characters that the last column, which may be broken into lines, needs at least."""
GAP = 2
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
Row = tuple[str, ...]


def console() -> Console:
    """Where tables go: no markup and no colours of its own, and no line broken on a pipe."""
    return Console(highlight=False, emoji=False, markup=False, soft_wrap=not sys.stdout.isatty())


def show_table(to: Console, header: Row, rows: Sequence[Row], *, colours: Sequence[str] = ()) -> None:
    """Print rows under their header, columns with nothing in them left out; `colours`: one a row.

    On a terminal that is too narrow each row becomes a block of lines, so that nothing is cut off.
    """
    if not rows:
        return
    kept = [any(row[place] for row in rows) for place in range(len(header))]
    names = tuple(compress(header, kept))
    lines = [tuple(map(plain, compress(row, kept))) for row in rows]
    styles = list(colours) or [""] * len(rows)
    widths = [max(len(line[place]) for line in (names, *lines)) for place in range(len(names))]
    if not to.is_terminal:
        for line in (names, *lines):
            to.print(Text((" " * GAP).join(map(str.ljust, line, widths)).rstrip()))
    elif sum(widths[:-1]) + GAP * len(widths) + min(widths[-1], LAST_COLUMN) > to.width:
        _blocks(to, names, lines, styles)
    else:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        for name in names[:-1]:
            table.add_column(name, no_wrap=True)
        table.add_column(names[-1], overflow="fold")
        for line, style in zip(lines, styles, strict=True):
            table.add_row(*map(Text, line), style=style)
        to.print(table)


def say(to: Console, line: str, style: str = "") -> None:
    """One line, however long."""
    to.print(Text(plain(line), style=style), soft_wrap=True)


def show_json(told: Any) -> None:
    """What a script reads."""
    print(plain_json(msgspec.json.format(msgspec.json.encode(told), indent=2).decode()))


def moment(common_s: float | None) -> str:
    """A moment in UTC, as ids of campaigns and reports have it; "" for none."""
    if not common_s:
        return ""
    try:
        return datetime.fromtimestamp(common_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # whoever can write to Redis can say anything
        return f"{common_s:g} s since 1970"


def span(length_s: float) -> str:
    """How long, without digits that nobody needs: "34 s", "5 min", "3.5 h", "4 d"."""
    if length_s < 2 * _MINUTE_S:
        return f"{length_s:.0f} s"
    if length_s < 2 * _HOUR_S:
        return f"{length_s / _MINUTE_S:.0f} min"
    return f"{length_s / _HOUR_S:.3g} h" if length_s < 2 * _DAY_S else f"{length_s / _DAY_S:.0f} d"


def _blocks(to: Console, names: Row, lines: Sequence[Row], styles: Sequence[str]) -> None:
    for line, style in zip(lines, styles, strict=True):
        to.print(Text(line[0], style=f"bold {style}".strip(), overflow="fold"))
        for name, cell in zip(names[1:], line[1:], strict=True):
            if cell:
                to.print(Text(f"  {name} {cell}".rstrip() if name else f"  {cell}", overflow="fold"))
