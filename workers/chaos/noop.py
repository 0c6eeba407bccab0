"""noop: a held fault that does nothing. Copy this file to begin another; docs/ADDING.md goes through it."""

import msgspec

from workers.chaos.contract import Kind, Scene


class Noop:
    """Nothing happens, and it always takes effect: good for rehearsing a game day."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """None."""

    def __init__(self, options: Options) -> None:
        """Take the options (there are none)."""

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """It touches nothing."""
        return ()

    def check(self, scene: Scene) -> None:
        """All is well everywhere."""

    def inject(self, scene: Scene) -> None:
        """Do nothing."""

    def verify(self, scene: Scene) -> str:  # noqa: ARG002  # the shape of every fault
        """It is always in effect."""
        return ""

    def revert(self, scene: Scene) -> None:
        """Undo nothing."""

    def residue(self, scene: Scene) -> str:  # noqa: ARG002  # the shape of every fault
        """Nothing is left."""
        return ""


KIND = Kind(Noop, Noop.Options)
