"""What the GPUs of a host say of themselves: memory, how busy they are, and which processes hold how much.

`python -m workers.chaos.gpu.readings [cuda]` asks once and prints it as JSON, in a process of its own: a
driver that is half gone can block, crash or print (docs/decisions/010). asking.py starts it, watch.py asks
again and again. Other GPUs than NVIDIA's are not read.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from workers.chaos.gpu import cuda
from workers.chaos.gpu.seen import Gpu, Reading
from workers.chaos.processes import boot_s
from workers.contract.errors import FaultError

LIBRARY = "libnvidia-ml.so.1"
T = TypeVar("T")

_BUS_CHARACTERS = 12  # DOMAIN:BUS:DEVICE.FUNCTION, the domain in four digits as CUDA writes it


class SilentError(Exception):
    """The driver does not answer; the text is why."""


def main() -> int:
    """Print what NVML says, if asked to CUDA too; whatever the libraries print goes to stderr."""
    with cuda.quietly() as answer:
        reading = read_once()
        if sys.argv[1:] == ["cuda"]:
            reading = _with_cuda(reading)
    os.write(answer, msgspec.json.encode(reading))
    return 0


def read_once() -> Reading:
    """One look; never raises for anything that a driver does, but may block."""
    try:
        with opened() as nvml:
            return read(nvml)
    except SilentError as error:
        return Reading(boot_s(), trouble=str(error))


@contextlib.contextmanager
def opened() -> Iterator[Any]:
    """NVML, ready to be asked. Raises SilentError, which says what is missing."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise SilentError(f"no NVIDIA driver: {error}") from error
    import pynvml  # noqa: PLC0415  # only where there is a library that it can load

    _tell(pynvml, pynvml.nvmlInit)
    try:
        yield pynvml
    finally:
        with contextlib.suppress(SilentError):
            _tell(pynvml, pynvml.nvmlShutdown)


def read(nvml: Any) -> Reading:
    """One look at all GPUs. Raises SilentError where one of them does not answer."""
    count = _tell(nvml, nvml.nvmlDeviceGetCount)
    return Reading(boot_s(), tuple(_gpu(nvml, index) for index in range(count)))


def _with_cuda(reading: Reading) -> Reading:
    try:
        return msgspec.structs.replace(reading, cuda=tuple(cuda.places(cuda.load())))
    except FaultError as error:
        return msgspec.structs.replace(reading, no_cuda=str(error))


def bus_of(text: str) -> str:
    """A PCI address as NVML or CUDA writes it, in one form."""
    return text[-_BUS_CHARACTERS:].lower()


def _gpu(nvml: Any, index: int) -> Gpu:
    device = _tell(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
    memory = _tell(nvml, nvml.nvmlDeviceGetMemoryInfo, device)
    busy = _maybe(nvml, nvml.nvmlDeviceGetUtilizationRates, device, default=None)
    held: list[Any] = _maybe(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, device, default=[])
    return Gpu(
        index=index,
        name=_text(_maybe(nvml, nvml.nvmlDeviceGetName, device, default="unnamed")),
        bus=bus_of(_text(_tell(nvml, nvml.nvmlDeviceGetPciInfo, device).busId)),
        total_bytes=int(memory.total),
        free_bytes=int(memory.free),
        used_bytes=int(memory.used),
        busy=None if busy is None else busy.gpu / 100,
        held={int(one.pid): int(one.usedGpuMemory or 0) for one in held},
    )


def _tell(nvml: Any, question: Callable[..., T], *of: Any) -> T:
    """The answer. A missing symbol or version can raise NVMLLibraryMismatchError, which is no NVMLError."""
    try:
        return question(*of)
    except (nvml.NVMLError, nvml.NVMLLibraryMismatchError, OSError, ValueError) as error:
        raise SilentError(f"the NVIDIA driver does not answer {question.__name__}: {error}") from error


def _maybe(nvml: Any, question: Callable[..., T], *of: Any, default: T) -> T:
    try:
        return _tell(nvml, question, *of)
    except SilentError:
        return default


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


if __name__ == "__main__":
    sys.exit(main())
