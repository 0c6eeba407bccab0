"""What becomes of an experiment: a campaign's document, the files beside it, and all that was left out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.campaign.findings import locate
from orchestrator.campaign.yaml_reader import Node, Path

MOST_CHARACTERS: Final = 63
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of the experiment that the campaign does not have; `path`, `line`: where it stands there."""

    path: Path
    line: int
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Imported:
    """`document`: the campaign. `rows`: data files to be written beside it, by name.

    `to_do`: what a person has to add or prepare before the campaign can run.
    """

    document: Mapping[str, object]
    rows: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    to_do: tuple[str, ...]


@dataclass(slots=True)
class Draft:
    """A campaign in the making; `root`: the experiment's file.

    `refused`: steps that came to something which no campaign takes, and why. `origins`: where what a target
    or an activity was made of stands, by name. `never`: alerts that may not fire. `fires`: alerts that are
    asked for, with the place in the method.
    """

    name: str
    root: Node
    refused: Mapping[Path, str]
    origins: dict[str, Path] = field(default_factory=dict)
    targets: dict[str, dict[str, object]] = field(default_factory=dict)
    loads: list[dict[str, object]] = field(default_factory=list)
    faults: list[dict[str, object]] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)
    fires: list[tuple[str, int]] = field(default_factory=list)

    def leave_out(self, path: Path, what: str, why: str) -> None:
        """Say that something is not carried over."""
        self.left_out.append(LeftOut(path, locate(self.root, path).line, what, why))


def slug(text: str, *, taken: Mapping[str, object] | list[str], otherwise: str) -> str:
    """A name made of a title, that nobody has yet."""
    base = _NO_NAME.sub("-", text.lower()).strip("-")[:MOST_CHARACTERS].strip("-") or otherwise
    name, number = base, 2
    while name in taken:
        end = f"-{number}"
        name, number = base[: MOST_CHARACTERS - len(end)].strip("-") + end, number + 1
    return name
