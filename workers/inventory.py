"""What this machine is: the card that a worker shows to the fleet."""

import socket
import time
from contextlib import suppress
from importlib import metadata

import msgspec
import psutil

from workers.clock import CommonClock
from workers.contract.facts import WorkerCard
from workers.settings import Settings


def blank_card(settings: Settings, incarnation: str) -> WorkerCard:
    """The card of this life of the worker; its clock and `seen_s` are filled in by `shown`."""
    process = psutil.Process()
    return WorkerCard(
        worker=settings.name,
        incarnation=incarnation,
        host=socket.gethostname(),
        version=metadata.version("shakeout"),
        slots=settings.slots,
        labels=settings.labels,
        gpus=gpus(),
        pid=process.pid,
        cores=len(process.cpu_affinity() or ()) or psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
    )


def shown(card: WorkerCard, clock: CommonClock, *, draining: bool) -> WorkerCard:
    """The card as of now."""
    reading = clock.reading()
    return msgspec.structs.replace(
        card,
        offset_s=time.monotonic() + reading.offset_s - time.time(),
        uncertainty_s=reading.uncertainty_s,
        draining=draining,
        seen_s=clock.now(),
    )


def gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs, in the driver's order; none where there is no driver or a broken one."""
    import pynvml  # noqa: PLC0415  # imported where it is used: it looks for the driver's library

    found: list[str] = []
    # A missing symbol raises NVMLLibraryMismatchError, no NVMLError; a driver half gone raises OSError.
    with suppress(pynvml.NVMLError, pynvml.NVMLLibraryMismatchError, OSError):
        pynvml.nvmlInit()
        try:
            for place in range(pynvml.nvmlDeviceGetCount()):
                name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(place))
                found.append(name.decode() if isinstance(name, bytes) else str(name))
        finally:
            pynvml.nvmlShutdown()
    return tuple(found)
