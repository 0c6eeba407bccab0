"""descriptors: the host's table of open files fills up (fs.file-max)."""

from typing import Annotated

import msgspec

from workers.chaos import own
from workers.chaos.contract import Kind, Scene
from workers.chaos.host import readings
from workers.chaos.host.memory_room import available_bytes, floor_bytes
from workers.chaos.host.quantity import Quantity, refuse_none_or_two
from workers.chaos.host.readings import Seldom, Session, amount, patience_s
from workers.chaos.own import Own
from workers.chaos.units import share
from workers.contract.errors import FaultError

FLOOR = 4096
"""Open files that must stay possible: worker, guardian and whoever logs in to look need some."""
ENOUGH = 0.95

_LOOKS_EVERY_S = 0.2
_MOST_HOGS = 256
_SLOWLY_PER_S = 20_000.0  # a tenth of what an idle host opens
_FILE_BYTES = 512  # of kernel memory an open file takes, its place in a process's table included


class Descriptors:
    """Processes of our own hold files open, each up to its own limit."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Exactly one of count, share (of those that can still be opened), leave (how many can still be)."""

        count: Annotated[int, msgspec.Meta(ge=1)] | None = None
        share: str | None = None
        leave: Annotated[int, msgspec.Meta(ge=0)] | None = None

        def __post_init__(self) -> None:
            """Refuse none or two."""
            refuse_none_or_two(count=self.count, share=self.share, leave=self.leave)

    def __init__(self, options: Options) -> None:
        """Read the quantity; raise FaultError where it is none."""
        part = None if options.share is None else share(options.share, option="share")
        self._quantity = Quantity(number=options.count, part=part, leave=options.leave)
        if part == 0:
            raise FaultError(f"share {options.share}: must be above 0%")
        self._wanted = self._hogs = 0
        self.takes_effect_within_s = patience_s(0, per_s=_SLOWLY_PER_S)
        self._session: Session | None = None
        self._seldom = Seldom(self._measure, every_s=_LOOKS_EVERY_S)

    def check(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """Refuse more than the host can hold with some to spare, or than our own processes may."""
        used, most = readings.file_handles()
        self._wanted = self._quantity.of(most - used)
        self.takes_effect_within_s = patience_s(self._wanted, per_s=_SLOWLY_PER_S)
        if self._wanted <= 0:
            raise FaultError(
                f"descriptors: only {most - used} more can be opened on this host: nothing to take"
            )
        if self._wanted > most - used - FLOOR:
            raise FaultError(
                f"descriptors: {self._wanted} of {most - used} that can still be opened would leave less "
                f"than {FLOOR}: say at most {max(0, most - used - FLOOR)}"
            )
        if self._wanted * _FILE_BYTES > available_bytes() - floor_bytes():
            taken = amount(self._wanted * _FILE_BYTES)
            raise FaultError(
                f"descriptors: {self._wanted} open files take about {taken} of memory: say fewer"
            )
        each = _most_of_one()
        self._hogs = -(-self._wanted // max(1, each))
        if self._hogs > _MOST_HOGS:
            raise FaultError(
                f"descriptors: {self._wanted} take {self._hogs} processes, as one may hold {each}: say at "
                f"most {_MOST_HOGS * each}, or raise the worker's hard limit (LimitNOFILE)"
            )

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Say how many."""
        used, most = readings.file_handles()
        return (f"open files: {self._wanted} of {most - used} that can still be opened on this host",)

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the hogs."""
        arguments = [str(self._wanted), str(self._hogs)]
        return (own.start("workers.chaos.host.descriptor_hog", arguments, scene=scene),)

    def inject(self, scene: Scene) -> None:  # the shape of every fault
        """Nothing: the hogs are told to go."""

    def verify(self, scene: Scene) -> str:
        """The hogs must hold most of what was wanted."""
        return self._seldom.look(scene)

    def revert(self, scene: Scene) -> None:
        """Nothing: the hogs are ended, and their files closed with them."""

    def residue(self, scene: Scene) -> str:  # noqa: ARG002  # the shape of every fault
        """Nothing but the hogs, which the caller looks for."""
        return ""

    def _measure(self, scene: Scene) -> str:
        self._session = self._session or Session(scene.own)
        pids = self._session.pids(least=self._hogs + 1)
        leaders = {who.pid for who in scene.own}
        held = sum(readings.descriptor_count(pid) for pid in pids if pid not in leaders)
        if held >= ENOUGH * self._wanted:
            return ""
        return f"the hogs hold {held} open files of {self._wanted}"


def _most_of_one() -> int:
    from workers.chaos.host.descriptor_hog import most_of_one  # noqa: PLC0415  # imports ctypes by its crew

    return most_of_one()


KIND = Kind(Descriptors, Descriptors.Options, wide=True, scales=("count", "share"))
