"""gpu-memory: memory of the GPUs is taken and held, so that the target has less, or runs out of it."""

from typing import Annotated, Literal

import msgspec

from workers.chaos import own, units
from workers.chaos.contract import Kind, Scene
from workers.chaos.gpu import asking, hogs
from workers.chaos.gpu.seen import Gpu, Reading
from workers.contract.errors import FaultError

ENOUGH = 0.95
"""Of what was asked for; the driver's accounts have pages of 2 MiB."""

Index = Annotated[int, msgspec.Meta(ge=0)]


class GpuMemory:
    """Hold memory on GPUs of this host in a process of our own, through CUDA's driver API.

    So far this was tried on stubs of NVIDIA's libraries alone, on no real GPU.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Exactly one of share_of_free (a percentage) and size, both of each GPU. device: an index, or all.

        CUDA itself takes some hundred MiB more for the process that holds it.
        """

        share_of_free: str | None = None
        size: str | None = None
        device: Index | Literal["all"] = "all"

        def __post_init__(self) -> None:
            """Refuse none or both."""
            if (self.share_of_free is None) == (self.size is None):
                raise ValueError("say exactly one of share_of_free, size")

    def __init__(self, options: Options) -> None:
        """Take the options. Raises FaultError where a quantity cannot be understood."""
        self._device = options.device
        self._share = self._size_bytes = None
        if options.share_of_free is not None:
            self._share = units.share(options.share_of_free, option="share_of_free")
        if options.size is not None:
            self._size_bytes = units.size_bytes(options.size, option="size")
        if not (self._share or self._size_bytes):
            raise FaultError("a share or size of 0 would take no memory")
        self._before = Reading(0.0)
        self._after: Reading | None = None

    def check(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """The drivers must be there, the GPU too, and it must have so much to give."""
        self._before = asking.able()
        for gpu in self._gpus():
            if self._wanted_bytes(gpu) > gpu.free_bytes:
                raise FaultError(
                    f"{gpu} has {_mib(gpu.free_bytes)} free, {_mib(self._wanted_bytes(gpu))} are asked for"
                )

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """The GPUs."""
        return tuple(f"memory of {gpu}" for gpu in self._gpus())

    def prepare(self, scene: Scene) -> tuple[own.Own, ...]:
        """Start who watches, and who will hold it."""
        asking.keep(scene, self._before)
        wanted = [f"{gpu.bus}={self._wanted_bytes(gpu)}" for gpu in self._gpus()]
        return hogs.start("workers.chaos.gpu.hold_memory", wanted, scene=scene)

    def inject(self, scene: Scene) -> None:
        """A process of our own, which waits, takes the memory in pieces of up to 1 GiB."""

    def verify(self, scene: Scene) -> str:
        """By the driver's account: what our process holds, else how much more is in use than before."""
        now = asking.news(scene)
        if trouble := now.trouble or hogs.ended(scene):
            return trouble
        return "; ".join(filter(None, (self._short(gpu, now, scene) for gpu in self._gpus())))

    def revert(self, scene: Scene) -> None:
        """End the process; the driver takes its memory back as it goes."""
        self._after = hogs.stop(scene)

    def residue(self, scene: Scene) -> str:
        """By the driver's account, nothing of ours may be left on a GPU."""
        return hogs.left_on_gpus(scene, self._after)

    def _gpus(self) -> tuple[Gpu, ...]:
        return asking.chosen(self._before, self._device)

    def _wanted_bytes(self, gpu: Gpu) -> int:
        return self._size_bytes or int((self._share or 0.0) * gpu.free_bytes)

    def _short(self, gpu: Gpu, now: Reading, scene: Scene) -> str:
        """What is missing on one GPU."""
        at = next((one for one in now.gpus if one.bus == gpu.bus), None)
        if at is None:
            return f"{gpu} is gone"
        ours = hogs.held_bytes(at, scene)
        taken = at.used_bytes - gpu.used_bytes if ours is None else ours
        wanted = self._wanted_bytes(gpu)
        if taken >= ENOUGH * wanted:
            return ""
        return f"{_mib(max(0, taken))} of {_mib(wanted)} are taken on {gpu}"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"


KIND = Kind(GpuMemory, GpuMemory.Options, scales=("share_of_free", "size"))
