"""gpu-compute: somebody else works on the GPUs too, and the target has to share them."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from workers.chaos import own, units
from workers.chaos.contract import Kind, Scene
from workers.chaos.gpu import asking, hogs
from workers.chaos.gpu.seen import Gpu, Reading
from workers.chaos.processes import boot_s
from workers.contract.errors import FaultError

STUCK_AFTER_S = 2.0
"""A kernel of ours takes milliseconds; none that ended for this long means that the GPU does not serve us."""

_COUNT = "kernels-ended"  # as spin.py names it, which only the process on the GPU loads
_SEEN = 0.5  # of the share that is asked for: the driver's own average lags behind by up to a second

Index = Annotated[int, msgspec.Meta(ge=0)]


class GpuCompute:
    """Keep GPUs of this host at work for a share of the time, in a process of our own.

    So far this was tried on stubs of NVIDIA's libraries alone, on no real GPU.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """share: of the time in which a kernel of ours is there, at least 1%. device: an index, or all."""

        share: str = "100%"
        device: Index | Literal["all"] = "all"

    def __init__(self, options: Options) -> None:
        """Take the options. Raises FaultError where the share cannot be understood."""
        self._device = options.device
        self._share = units.share(options.share, option="share")
        if self._share < 0.01:
            raise FaultError(f"share {options.share}: must be at least 1%")
        self._before = Reading(0.0)
        self._after: Reading | None = None
        self._ended = ""
        self._grew_s = 0.0

    def check(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """The drivers must be there, and the GPU too."""
        self._before = asking.able()
        self._gpus()

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """The GPUs."""
        return tuple(f"compute of {gpu}" for gpu in self._gpus())

    def prepare(self, scene: Scene) -> tuple[own.Own, ...]:
        """Start who watches, and who will do the work."""
        asking.keep(scene, self._before)
        buses = [gpu.bus for gpu in self._gpus()]
        return hogs.start("workers.chaos.gpu.spin", [scene.folder, repr(self._share), *buses], scene=scene)

    def inject(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """A process of our own, which waits, starts short kernels, one after another."""
        self._grew_s = boot_s()

    def verify(self, scene: Scene) -> str:
        """Its kernels must end one after another, and the driver must see the GPUs at work."""
        now = asking.news(scene)
        if trouble := now.trouble or hogs.ended(scene) or self._stuck(scene):
            return trouble
        at = {gpu.bus: gpu for gpu in now.gpus}
        return "; ".join(filter(None, (self._idle(gpu, at.get(gpu.bus)) for gpu in self._gpus())))

    def revert(self, scene: Scene) -> None:
        """End the process, which ends its kernels."""
        self._after = hogs.stop(scene)

    def residue(self, scene: Scene) -> str:
        """By the driver's account, nothing of ours may be left on a GPU."""
        return hogs.left_on_gpus(scene, self._after)

    def _gpus(self) -> tuple[Gpu, ...]:
        return asking.chosen(self._before, self._device)

    def _stuck(self, scene: Scene) -> str:
        """Whether its kernels have stopped to end."""
        file = Path(scene.folder) / _COUNT
        ended = file.read_text(encoding="ascii") if file.exists() else ""
        if ended and ended != self._ended:  # empty: just being written
            self._ended, self._grew_s = ended, boot_s()
        if not self._ended:
            return "no kernel of ours has ended yet"
        rest_s = boot_s() - self._grew_s
        return f"no kernel of ours has ended for {rest_s:.1f} s" if rest_s > STUCK_AFTER_S else ""

    def _idle(self, gpu: Gpu, now: Gpu | None) -> str:
        if now is None:
            return f"{gpu} is gone"
        if now.busy is None or now.busy >= _SEEN * self._share:
            return ""
        return f"{gpu} is at work for {now.busy:.0%} of the time, not {self._share:.0%}"


KIND = Kind(GpuCompute, GpuCompute.Options, scales=("share",))
