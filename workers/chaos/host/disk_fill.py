"""disk-fill: a file system runs out of room."""

import os

import msgspec

from workers.chaos import own
from workers.chaos.contract import Kind, Scene
from workers.chaos.host import disk_room, readings
from workers.chaos.host.quantity import of_bytes, refuse_none_or_two
from workers.chaos.host.readings import Seldom, Session, amount, patience_s
from workers.chaos.own import Own
from workers.contract.errors import FaultError

ENOUGH = 0.95
"""Of the room wanted, seen to be taken by the file: the last blocks of a disk go to its own books."""
DROPPED = 0.5
"""Of the room wanted, gone from what is free when the effect is first seen: others may give room back."""

_LOOKS_EVERY_S = 0.1
_SLOWLY_BYTES_PER_S = 20e6  # where the file system cannot allocate at once, and every block is written


class DiskFill:
    """A file without a name takes room.

    It is held by a process of our own, and its room is free again the moment that this process ends.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """path: a folder. Exactly one of size, share (of what is free), leave (what stays free, a size)."""

        path: str
        size: str | None = None
        share: str | None = None
        leave: str | None = None

        def __post_init__(self) -> None:
            """Refuse none or two."""
            refuse_none_or_two(size=self.size, share=self.share, leave=self.leave)

    def __init__(self, options: Options) -> None:
        """Read the quantity; raise FaultError where it is none."""
        self._folder = options.path
        self._quantity = of_bytes(options.size, options.share, options.leave, fault="disk-fill")
        self._wanted = self._free = 0
        self._dropped = False
        self.takes_effect_within_s = patience_s(0, per_s=_SLOWLY_BYTES_PER_S)
        self._session: Session | None = None
        self._seldom = Seldom(self._measure, every_s=_LOOKS_EVERY_S)

    def check(self, scene: Scene) -> None:
        """Refuse a folder that cannot be written to, and what would starve the worker itself."""
        room = disk_room.room(self._folder, scene)
        self._free, self._wanted = room.free_bytes, self._quantity.of(room.free_bytes)
        self.takes_effect_within_s = patience_s(self._wanted, per_s=_SLOWLY_BYTES_PER_S)
        if self._wanted <= 0:
            raise FaultError(f"path {self._folder}: only {amount(room.free_bytes)} are free: nothing to take")
        if self._wanted > room.usable_bytes:
            why = f" ({room.why_less})" if room.why_less else ""
            raise FaultError(
                f"path {self._folder}: {amount(self._wanted)} cannot be taken of {amount(room.free_bytes)} "
                f"free{why}: say at most {amount(room.usable_bytes)}"
            )
        disk_room.probe(self._folder)

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Say where, and how much."""
        return (f"disk of {self._folder}: {amount(self._wanted)} of {amount(self._free)} free",)

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the process that will hold the file."""
        arguments = [self._folder, _name(scene), str(self._wanted)]
        return (own.start("workers.chaos.host.disk_fill_hog", arguments, scene=scene),)

    def inject(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """Note what is free; the process is told to go."""
        self._free = _free_bytes(self._folder)

    def verify(self, scene: Scene) -> str:
        """The file must take most of what was wanted, and what was free must have dropped with it."""
        return self._seldom.look(scene)

    def revert(self, scene: Scene) -> None:
        """Remove what a death in the wrong moment left of the name; the room goes with the process."""
        disk_room.remove(self._folder, _name(scene))

    def residue(self, scene: Scene) -> str:
        """No file of that name may be there."""
        return disk_room.left(self._folder, _name(scene))

    def _measure(self, scene: Scene) -> str:
        self._session = self._session or Session(scene.own)
        taken = sum(readings.nameless_bytes(pid) for pid in self._session.pids(least=2))
        if taken < ENOUGH * self._wanted:
            return f"the file in {self._folder} takes {amount(taken)} of {amount(self._wanted)}"
        gone = self._free - _free_bytes(self._folder)
        self._dropped = self._dropped or gone >= DROPPED * self._wanted
        return "" if self._dropped else f"what is free in {self._folder} dropped by {amount(gone)} only"


def _free_bytes(folder: str) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _name(scene: Scene) -> str:
    return f".shakeout-fill-{scene.key}"


KIND = Kind(DiskFill, DiskFill.Options, wide=True, scales=("size", "share"))
