"""The campaign file of an experiment: YAML, under comments that say what it does not have. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from orchestrator.campaign.findings import dotted
from orchestrator.campaign.yaml_reader import resolve
from orchestrator.chaostoolkit.imported import Imported, LeftOut

_PLAIN: Final = re.compile(r"[A-Za-z0-9/](?:[A-Za-z0-9 ._/(),<>=%+-]*[A-Za-z0-9)%])?")
_WORD: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9./%_-]*")
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WIDE: Final = 96


def campaign_text(imported: Imported, *, source: str) -> str:
    """The file's text; `source`: the name of the experiment's file."""
    lines = [_UNPRINTABLE.sub("?", f"# Made from {source}, an experiment of Chaos Toolkit.")]
    if imported.to_do:
        lines += ["#", "# To be done before it can run:"]
        lines += [line for one in imported.to_do for line in _comment(one)]
    if imported.left_out:
        lines += ["#", "# Not carried over:"]
        for left in imported.left_out:
            lines += _comment(line_of(left))
    lines += ["", *_mapping(imported.document, 0)]
    return "\n".join(lines) + "\n"


def line_of(left: LeftOut) -> str:
    """What was left out, where it stands, and why, on one line."""
    return f"line {left.line}, {dotted(left.path)} ({left.what}): {left.why}"


def _comment(text: str) -> Iterator[str]:
    """One entry of a list in comments, broken into lines."""
    line = "# -"
    for word in _UNPRINTABLE.sub("?", text).split():
        if len(line) + len(word) >= _WIDE:
            yield line
            line = "#  "
        line = f"{line} {word}"
    yield line


def _mapping(value: Mapping[str, object], depth: int) -> Iterator[str]:
    space = "  " * depth
    for key, one in value.items():
        if isinstance(one, Mapping) and one and not _short(one):
            yield f"{space}{_scalar(key)}:"
            yield from _mapping(one, depth + 1)
        elif isinstance(one, list) and one and not _short(one):
            yield f"{space}{_scalar(key)}:"
            yield from _list(one, depth + 1)
        else:
            yield f"{space}{_scalar(key)}: {_inline(one)}"


def _list(value: list[object], depth: int) -> Iterator[str]:
    space = "  " * depth
    for one in value:
        if isinstance(one, Mapping) and one:
            first, *rest = _mapping(one, depth + 1)
            yield f"{space}- {first.strip()}"
            yield from rest
        else:
            yield f"{space}- {_inline(one)}"


def _short(value: object) -> bool:
    """Whether it is read well on one line: words and numbers, few and short."""
    if len(_inline(value)) > _WIDE // 2:
        return False
    if isinstance(value, list):
        return all(isinstance(one, str | int) and _WORD.fullmatch(str(one)) for one in value)
    assert isinstance(value, Mapping)  # noqa: S101  # asked of these two alone
    return not any(isinstance(one, Mapping | list) or "," in str(one) for one in value.values())


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _flow(value: object) -> str:
    """Inside brackets: what begins or parts there is quoted."""
    text = _inline(value)
    inner = isinstance(value, str) and not text.startswith('"') and re.search(r"[,<>()]", text)
    return _quoted(str(value)) if inner else text


def _scalar(value: object) -> str:
    if isinstance(value, str):
        fits = _PLAIN.fullmatch(value) and resolve(value) == value
        return value if fits else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """JSON's quotes are YAML's too; what YAML does not take as it is, is escaped."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
