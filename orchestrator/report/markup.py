"""Text for GitHub's Markdown: escaped, on one line, and in tables."""

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@!&])")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, align: str) -> list[str]:
    """Rows under their head as GitHub's Markdown has them; none without rows. `align`: l or r a column."""
    if not rows:
        return []
    ruler = ["--:" if side == "r" else "---" for side in align]
    return [f"| {' | '.join(row)} |" for row in (head, tuple(ruler), *rows)] + [""]


def text(words: str) -> str:
    """A text on one line, with everything escaped that Markdown or HTML would read."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def code(words: str) -> str:
    """A text as code, on one line and within one cell."""
    return "`" + " ".join(words.split()).replace("`", "'").replace("|", "\\|") + "`"
