"""memory: memory of the host is taken by processes of our own."""

import msgspec

from workers.chaos import own
from workers.chaos.contract import Kind, Scene
from workers.chaos.host import readings
from workers.chaos.host.memory_room import available_bytes, floor_bytes
from workers.chaos.host.quantity import of_bytes, refuse_none_or_two
from workers.chaos.host.readings import Seldom, Session, amount, patience_s
from workers.chaos.own import Own
from workers.contract.errors import FaultError

ENOUGH = 0.95
"""Of the memory wanted, seen to be the hogs' own."""

_LOOKS_EVERY_S = 0.1
_PER_HOG_BYTES = 1024**3  # one core fills about this in half a second
_MOST_HOGS = 32
_SLOWLY_BYTES_PER_S = 50e6  # in a virtual machine under load, whose host has to find the memory first


class Memory:
    """Hogs write to every page that they take.

    They stop short of what the host needs, and are the first to be ended by a kernel that is out of memory.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Exactly one of size, share (of what is available), leave (what stays available, a size)."""

        size: str | None = None
        share: str | None = None
        leave: str | None = None

        def __post_init__(self) -> None:
            """Refuse none or two."""
            refuse_none_or_two(size=self.size, share=self.share, leave=self.leave)

    def __init__(self, options: Options) -> None:
        """Read the quantity; raise FaultError where it is none."""
        self._quantity = of_bytes(options.size, options.share, options.leave, fault="memory")
        self._wanted = 0
        self.takes_effect_within_s = patience_s(0, per_s=_SLOWLY_BYTES_PER_S)
        self._session: Session | None = None
        self._seldom = Seldom(self._measure, every_s=_LOOKS_EVERY_S)

    def check(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """Refuse what would leave the host with too little to run on."""
        available, floor = available_bytes(), floor_bytes()
        self._wanted = self._quantity.of(available)
        self.takes_effect_within_s = patience_s(self._wanted, per_s=_SLOWLY_BYTES_PER_S)
        if self._wanted <= 0:
            raise FaultError(f"memory: only {amount(available)} are available: there is nothing to take")
        if self._wanted > available - floor:
            raise FaultError(
                f"memory: {amount(self._wanted)} of {amount(available)} available would leave less than "
                f"the {amount(floor)} that this host needs: say at most {amount(max(0, available - floor))}"
            )

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Say how much."""
        wanted = self._wanted or self._quantity.of(available_bytes())
        return (f"memory: {amount(wanted)} of {amount(available_bytes())} available",)

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the hogs: as many as are needed to have it soon."""
        arguments = [str(self._wanted), str(floor_bytes()), str(self._hogs())]
        return (own.start("workers.chaos.host.memory_hog", arguments, scene=scene),)

    def inject(self, scene: Scene) -> None:
        """Nothing: the hogs are told to go."""

    def verify(self, scene: Scene) -> str:
        """The hogs must hold most of what was wanted."""
        return self._seldom.look(scene)

    def revert(self, scene: Scene) -> None:
        """Nothing: the hogs are ended, and their memory with them."""

    def residue(self, scene: Scene) -> str:  # noqa: ARG002  # the shape of every fault
        """Nothing but the hogs, which the caller looks for."""
        return ""

    def _hogs(self) -> int:
        return max(1, min(_MOST_HOGS, readings.cores(), -(-self._wanted // _PER_HOG_BYTES)))

    def _measure(self, scene: Scene) -> str:
        self._session = self._session or Session(scene.own)
        pids = self._session.pids(least=self._hogs() + 1)
        leaders = {who.pid for who in scene.own}
        held = sum(readings.private_bytes(pid) for pid in pids if pid not in leaders)
        if held >= ENOUGH * self._wanted:
            return ""
        return f"the hogs hold {amount(held)} of {amount(self._wanted)}"


KIND = Kind(Memory, Memory.Options, wide=True, scales=("size", "share"))
