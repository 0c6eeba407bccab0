"""noop: a held fault that does nothing. Copy this file to begin another; docs/ADDING.md goes through it."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from workers.chaos.contract import ProcessId


class Noop:
    """Nothing happens, and it always takes effect: good for rehearsing a game day."""

    held: ClassVar[bool] = True
    client: ClassVar[bool] = False
    works: ClassVar[bool] = True
    needs_match: ClassVar[bool] = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """None."""

    def __init__(self, options: Options) -> None:
        """Take the options (there are none)."""

    def check(self, processes: Sequence[ProcessId]) -> None:
        """All is well everywhere."""

    def inject(self, processes: Sequence[ProcessId]) -> None:
        """Do nothing."""

    def verify(self, processes: Sequence[ProcessId]) -> str:  # noqa: ARG002  # the shape of every fault
        """It is always in effect."""
        return ""

    def revert(self, processes: Sequence[ProcessId]) -> None:
        """Undo nothing."""

    def residue(self, processes: Sequence[ProcessId]) -> str:  # noqa: ARG002  # the shape of every fault
        """Nothing is left."""
        return ""
