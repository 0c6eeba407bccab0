"""What a worker shows the fleet of itself and its machine: the inventory behind `where`."""

import msgspec

from workers.contract.calibration import Calibration
from workers.contract.proxies import ProxyShown


class Gpu(msgspec.Struct, frozen=True):
    """One NVIDIA GPU in the driver's order; `mig`: names of its MIG instances, empty where MIG is off.

    `memory_bytes`: 0 where the driver does not tell. `mig_on`: work can use its instances alone, not the
    whole, also where it has none yet.
    """

    name: str
    uuid: str = ""
    memory_bytes: int = 0
    mig: tuple[str, ...] = ()
    mig_on: bool = False

    @property
    def usable(self) -> tuple[str, ...]:
        """Names of what work can be put on, one for each that `where: {gpus: N}` counts."""
        return self.mig if self.mig_on else (self.name,)


class WorkerCard(msgspec.Struct, frozen=True):
    """What a worker says of itself: the inventory behind `where`.

    `slots`: engines it runs at once. `offset_s`: the common clock minus its own time of day, known to
    `uncertainty_s`. `draining`: takes nothing new. `seen_s`: when it said this, common time. `driver`: of the
    GPUs, or why there is none to be seen. `kernel`, `cpu`, `python`: of the host, for people. `trusts`: ids
    of the signing keys whose tasks it takes; empty: anybody's. `halted`: the red button is pressed, as it
    sees it. `refused`: how many tasks, halts and resumes it did not believe lately; `refused_why`: the last.
    `calibration`: what one engine can do there, as `doctor --calibrate` measured it; `uncalibrated`: why a
    measurement that there is does not count. `addresses`: of the host, those of loopback left out.
    `target_limits`: HOST:PORT -> requests per second that its operator lets it send there, over all slots.
    `proxies`: those that faults are done by.
    """

    worker: str
    incarnation: str
    host: str
    version: str
    slots: int
    labels: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    kernel: str = ""
    cpu: str = ""
    python: str = ""
    trusts: tuple[str, ...] = ()
    halted: bool = False
    refused: int = 0
    refused_why: str = ""
    pid: int = 0
    cores: int = 0
    memory_bytes: int = 0
    offset_s: float = 0.0
    uncertainty_s: float = 0.0
    draining: bool = False
    seen_s: float = 0.0
    calibration: Calibration | None = None
    uncalibrated: str = ""
    addresses: tuple[str, ...] = ()
    target_limits: dict[str, float] = {}
    proxies: tuple[ProxyShown, ...] = ()
