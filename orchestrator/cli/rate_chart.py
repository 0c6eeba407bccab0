"""The planned rate of a phase over time, drawn in text, with its faults below."""

from collections.abc import Sequence
from typing import Final

from orchestrator.report.formats import number
from orchestrator.slo.words import seconds

ROWS: Final = 4
EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
INDENT: Final = "  "
FLAT: Final = 1e-6
"""A rate that changes by less is drawn in one row."""
Span = tuple[float, float]


def chart(rates_per_s: Sequence[float], *, length_s: float, faults: Sequence[Span] = ()) -> str:
    """Bars of the mean rate in equal parts of `length_s`; `faults` are (from, to) in seconds of the phase.

    The top of the highest bar is the highest mean rate. Faults are marked on a line of their own.
    """
    top = max(rates_per_s, default=0.0)
    rows = 1 if min(rates_per_s, default=0.0) >= top * (1 - FLAT) else ROWS
    heights = [round(rate / top * rows * 8) if top else 0 for rate in rates_per_s]
    labels = [f"{number(round(top, 6))}/s", *[""] * (rows - 1)]
    margin = len(labels[0])
    lines = [
        f"{INDENT}{labels[row]:>{margin}} ┤{_row(heights, rows - 1 - row)}".rstrip() for row in range(rows)
    ]
    width = len(rates_per_s)
    end = seconds(length_s)
    lines.append(f"{INDENT}{'0':>{margin}} └{'─' * width}")
    lines.append(f"{INDENT}{' ' * margin}  0 s{end:>{max(1, width - 3)}}")
    if faults:
        marks = _marks(faults, length_s=length_s, width=width)
        lines.append(f"{INDENT}{'faults':>{margin}}  {marks}".rstrip())
    return "\n".join(lines)


def _row(heights: Sequence[int], row: int) -> str:
    """One line of bars, `row` counted from the bottom."""
    return "".join(EIGHTHS[max(0, min(8, height - 8 * row))] for height in heights)


def _marks(faults: Sequence[Span], *, length_s: float, width: int) -> str:
    """`×` in each column that a fault touches."""
    marks = [" "] * width
    for from_s, to_s in faults:
        first = min(width - 1, int(from_s / length_s * width))
        last = min(width - 1, int(to_s / length_s * width))
        marks[first : last + 1] = "×" * (last + 1 - first)
    return "".join(marks)
