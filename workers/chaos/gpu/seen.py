"""What is seen of the GPUs of a host at one look. Light: guardians load it."""

import msgspec


class Gpu(msgspec.Struct, frozen=True):
    """One GPU at one look; `index`: the driver's own number of it, as nvidia-smi shows it.

    `busy`: the share of the last moments in which it worked, None where the driver does not tell.
    `held`: bytes by process id, of processes that the driver names; it names none in most containers.
    """

    index: int
    name: str
    bus: str
    total_bytes: int
    free_bytes: int
    used_bytes: int
    busy: float | None = None
    held: dict[int, int] = {}

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.name})"


class Reading(msgspec.Struct, frozen=True):
    """All GPUs at one look, `at_s` on CLOCK_BOOTTIME; `trouble`: why there is nothing to be read.

    `cuda`: which GPUs (by `bus`) a process started here could work on; `no_cuda`: why none.
    """

    at_s: float
    gpus: tuple[Gpu, ...] = ()
    trouble: str = ""
    cuda: tuple[str, ...] = ()
    no_cuda: str = ""
