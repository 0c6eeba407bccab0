"""A bar chart as a small SVG: one bar a tool, its value beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL, VALUE = 760, 230, 120
ROW, BAR, TOP = 30, 18, 46
OURS, OTHERS, INK, FAINT = "#0b6e4f", "#9aa5b1", "#1f2933", "#52606d"


@dataclass(frozen=True, slots=True)
class Bar:
    """One tool: `value` sets the length, `text` stands beside it; `ours` is drawn in the strong colour."""

    name: str
    value: float
    text: str
    ours: bool = False


def chart(title: str, bars: Sequence[Bar], *, note: str) -> str:
    """The SVG of bars on one linear scale from zero; `note` says what is short or long of the good."""
    longest = max((bar.value for bar in bars), default=0.0) or 1.0
    height = TOP + ROW * len(bars) + 30
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    looks = f'font-family="system-ui, sans-serif" font-size="14" role="img" aria-label="{escape(title)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {looks}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-size="16" font-weight="600" fill="{INK}">{escape(title)}</text>',
    ]
    for at, bar in enumerate(bars):
        top = TOP + ROW * at
        length = max(bar.value, 0.0) / longest * (WIDTH - LABEL - VALUE)
        weight = "600" if bar.ours else "400"
        parts.append(
            f'<text x="{LABEL - 10}" y="{top + 14}" text-anchor="end" font-weight="{weight}" fill="{INK}">'
            f"{escape(bar.name)}</text>"
            f'<rect x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"'
            f' fill="{OURS if bar.ours else OTHERS}"/>'
            f'<text x="{LABEL + length + 8:.1f}" y="{top + 14}" font-weight="{weight}" fill="{INK}">'
            f"{escape(bar.text)}</text>"
        )
    parts.append(f'<text x="12" y="{height - 10}" font-size="12" fill="{FAINT}">{escape(note)}</text></svg>')
    return "\n".join(parts) + "\n"
