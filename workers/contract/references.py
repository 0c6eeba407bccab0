"""References to secrets in a text: `${env:NAME}`, `${file:NAME}`; a literal `${` is written `$${`. Pure."""

import re
from collections.abc import Callable, Iterable
from typing import Final, Literal

Source = Literal["env", "file"]

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?P<source>env|file):(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")


def fill(text: str, value: Callable[[Source, str], str]) -> str:
    """The text with `value(source, name)` in place of each reference."""

    def put(match: re.Match[str]) -> str:
        return "${" if match[0] == "$${" else value(_source(match), match["name"])

    return _REFERENCE.sub(put, text)


def referred(texts: Iterable[str]) -> list[tuple[Source, str]]:
    """Every reference in the texts, as (source, name), each once, in order."""
    found = (one for text in texts for one in _REFERENCE.finditer(text) if one["source"])
    return list(dict.fromkeys((_source(one), one["name"]) for one in found))


def _source(match: re.Match[str]) -> Source:
    return "env" if match["source"] == "env" else "file"
