"""What is wrong with a campaign, by the path of the value; and where in the file that value stands."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from orchestrator.campaign.yaml_reader import Entry, Node, Path, Place

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,5})\]")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at `path`.

    `offset` counts characters into the value's text, where that is known. `extra`: no such key belongs there.
    """

    path: Path
    message: str
    hint: str = ""
    offset: int | None = None
    extra: bool = False


def dotted(path: Path) -> str:
    """The path as CAMPAIGN.md writes it: `phases[1].activities[0].at`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def undotted(text: str) -> Path:
    """The path that `dotted` wrote. Raises ValueError for anything else."""
    steps: list[str | int] = []
    rest = f".{text}"
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise ValueError(f"{text!r} is no path, e.g. phases[0].activities[1].duration")
        steps.append(found[1] if found[2] is None else int(found[2]))
        rest = rest[found.end() :]
    return tuple(steps)


def locate(root: Node, path: Path, offset: int | None = None) -> Place:
    """Where `path` stands: its key, or the item of a list; the nearest parent where it is missing.

    With `offset`, the place of that character of a one-line text.
    """
    node, place = root, root.place
    whole = True
    for step in path:
        below = _below(node, step)
        if below is None:
            whole = False
            break
        node = below.node if isinstance(below, Entry) else below
        place = below.place
    if whole and offset is not None and node.text_place is not None:
        return Place(node.text_place.line, node.text_place.column + offset)
    return place


def existing(root: Node, path: Path) -> Path:
    """The path without steps into a scalar: `data: rows.jsonl` has no `data.file`."""
    node = root
    for index, step in enumerate(path):
        if not isinstance(node.value, dict | list):
            return path[:index]
        below = _below(node, step)
        if below is None:
            return path
        node = below.node if isinstance(below, Entry) else below
    return path


def nearest(word: str, known: list[str]) -> str:
    """A hint that names the known word nearest to this one; all of them where they are few."""
    lower = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), lower, n=1)
    if near:
        return f"did you mean {lower[near[0]]}?"
    few = 12
    return f"known: {', '.join(known)}" if 0 < len(known) <= few else ""


def _below(node: Node, step: str | int) -> Entry | Node | None:
    if isinstance(node.value, dict) and isinstance(step, str):
        return node.value.get(step)
    if isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step]
    return None
