"""`python -m workers.gpus`: ask the NVIDIA driver what GPUs there are, once, in a process of its own.

A driver that is half gone can block, crash or print; here it takes no worker with it. The answer goes to
stdout as JSON. workers/inventory.py starts it and waits for it within bounds.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from workers import parent
from workers.contract.facts import Gpu

NOT_THERE = "no NVIDIA driver"
LIBRARY = "libnvidia-ml.so.1"
_NICE = 5
"""The questions take about 0.1 s of a core, which engines may want; at 19 they would not get it in 15 s."""
_MOST_INSTANCES = 64
"""MIG instances that are asked for on one GPU; a GPU has 7 at most."""
T = TypeVar("T")


class Devices(msgspec.Struct, frozen=True):
    """GPUs in the driver's order, and `driver`: its version and what is wrong, or why none is to be seen."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = NOT_THERE


class _Silent(Exception):  # noqa: N818  # an answer, not an error of ours
    """The driver does not answer a question; the text is why."""


def main() -> int:
    """Print the devices as JSON. Whatever the library itself prints goes to stderr."""
    wanted, pid = parent.asked(sys.argv[1:])
    if wanted and not parent.bind(pid):
        return 1
    os.nice(_NICE)
    answer = os.dup(1)
    os.dup2(2, 1)
    os.write(answer, msgspec.json.encode(ask()))
    return 0


def ask() -> Devices:
    """What the driver of this host says; never raises for anything that it does, but may block."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        missing = LIBRARY in str(error) and "No such file" in str(error)
        return Devices(driver=NOT_THERE if missing else f"driver broken: {error}")
    import pynvml  # noqa: PLC0415  # only where there is a library that it can load

    try:
        _tell(pynvml, pynvml.nvmlInit)
    except _Silent as error:
        return Devices(driver=str(error))
    try:
        return _devices(pynvml)
    except _Silent as error:
        return Devices(driver=str(error))


def _devices(nvml: Any) -> Devices:
    """All GPUs that answer; those that do not are named beside the driver's version."""
    version = _maybe(nvml, nvml.nvmlSystemGetDriverVersion, default="of unknown version")
    count = _tell(nvml, nvml.nvmlDeviceGetCount)
    found: list[Gpu] = []
    wrong: list[str] = []
    for place in range(count):
        try:
            found.append(_gpu(nvml, place))
        except _Silent as error:
            wrong.append(f"GPU {place} left out: {str(error).removeprefix('driver broken: ')}")
    return Devices(tuple(found), "; ".join([version, *wrong]))


def _gpu(nvml: Any, place: int) -> Gpu:
    """One GPU. Raises _Silent where it does not even tell its name: nothing can run on it."""
    device = _tell(nvml, nvml.nvmlDeviceGetHandleByIndex, place)
    mig_on = _maybe(nvml, nvml.nvmlDeviceGetMigMode, device, default=[0, 0])[0] == 1
    memory = _maybe(nvml, nvml.nvmlDeviceGetMemoryInfo, device, default=None)
    return Gpu(
        name=_text(_tell(nvml, nvml.nvmlDeviceGetName, device)),
        uuid=_text(_maybe(nvml, nvml.nvmlDeviceGetUUID, device, default="")),
        memory_bytes=int(memory.total) if memory is not None else 0,
        mig=_instances(nvml, device) if mig_on else (),
        mig_on=mig_on,
    )


def _instances(nvml: Any, device: Any) -> tuple[str, ...]:
    """Names of a GPU's MIG instances; their places may have holes."""
    most = _maybe(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, device, default=0)
    names = []
    for place in range(min(most, _MOST_INSTANCES)):
        instance = _maybe(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, device, place, default=None)
        if instance is not None:
            names.append(_text(_maybe(nvml, nvml.nvmlDeviceGetName, instance, default="MIG instance")))
    return tuple(names)


def _tell(nvml: Any, question: Callable[..., T], *of: Any) -> T:
    """The answer. Raises _Silent where the driver has none.

    A missing symbol or version can raise NVMLLibraryMismatchError, which is no NVMLError; a name that is not
    UTF-8 a ValueError.
    """
    try:
        return question(*of)
    except nvml.NVMLError_FunctionNotFound as error:
        raise _Silent(f"library too old (missing symbol: {question.__name__})") from error
    except nvml.NVMLLibraryMismatchError as error:
        raise _Silent("library too old (missing symbol: another version than nvidia-ml-py's)") from error
    except (nvml.NVMLError, OSError, ValueError) as error:
        raise _Silent(f"driver broken: {error}") from error


def _maybe(nvml: Any, question: Callable[..., T], *of: Any, default: T) -> T:
    """The answer, or `default`: not every GPU tells its memory, not every driver knows of MIG."""
    try:
        return _tell(nvml, question, *of)
    except _Silent:
        return default


def _text(name: Any) -> str:
    """A name as text: bytes before nvidia-ml-py 12."""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


if __name__ == "__main__":
    sys.exit(main())
