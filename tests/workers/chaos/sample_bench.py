"""What a sample of a fault is made with, and what it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.chaos.contract import Match


@dataclass(frozen=True, slots=True)
class Bench:
    """`folder`: of this one blow alone. `orphan`, `pinned`: the fixtures of conftest.py."""

    folder: Path
    orphan: Callable[..., Any]
    pinned: Callable[[int], Match]


@dataclass(frozen=True, slots=True)
class Sample:
    """`felt`: whether the fault is in effect now. `left`: what is left of it, in words; empty: nothing.

    `order`: further fields of its FaultOrder, say `aim` and `rules`. `inside`: words before a command that is
    to run on the host that the fault is for.
    """

    felt: Callable[[], bool]
    left: Callable[[], str]
    match: Match | None = None
    options: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)
    inside: tuple[str, ...] = ()
