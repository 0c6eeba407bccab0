"""CUDA's driver API through ctypes: what a process of ours needs to hold GPU memory or to keep a GPU at work.

The library comes with the driver, so this works wherever torch or cupy would, starts in milliseconds, and
takes no byte beside what it is asked for and CUDA's own context. Only processes of our own load it.
Source: CUDA Driver API reference, sections 6.3 to 6.22.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workers.contract.errors import FaultError

LIBRARY = "libcuda.so.1"
BLOCK_THREADS = 128

_PROCESSORS = 16  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
_BUS_BYTES = 16
_CHUNK_BYTES = 1 << 30
_SMALLEST_BYTES = 2 << 20  # CUDA gives memory in pages of 2 MiB


@dataclass(frozen=True, slots=True)
class Driver:
    """The library, ready to be asked."""

    library: Any


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function on one GPU, with the context that it lives in and `processors` to fill."""

    context: Any
    function: Any
    processors: int
    output: Any


def load() -> Driver:
    """Load and begin. Raises FaultError, which names what is missing on this host."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise FaultError(
            f"no CUDA driver ({error}); a container needs NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        ) from error
    driver = Driver(library)
    _do(driver, "cuInit", ctypes.c_uint(0))
    return driver


def places(driver: Driver) -> dict[str, int]:
    """Which GPUs this process can work on: PCI address, as NVML says it, -> CUDA's own number."""
    count = ctypes.c_int()
    _do(driver, "cuDeviceGetCount", ctypes.byref(count))
    found: dict[str, int] = {}
    for place in range(count.value):
        text = ctypes.create_string_buffer(_BUS_BYTES)
        _do(driver, "cuDeviceGetPCIBusId", text, ctypes.c_int(_BUS_BYTES), _device(driver, place))
        found.setdefault(text.value.decode().lower(), place)
    return found


def place_of(bus: str, places_: dict[str, int]) -> int:
    """CUDA's own number of a GPU by its PCI address. Raises FaultError where it shows no such GPU."""
    if bus not in places_:
        raise FaultError(f"CUDA does not show the GPU at {bus} (any more)")
    return places_[bus]


def enter(driver: Driver, place: int) -> ctypes.c_void_p:
    """Make a context on that GPU, current in this thread. It takes some hundred MiB there."""
    context = ctypes.c_void_p()
    _do(driver, "cuCtxCreate_v2", ctypes.byref(context), ctypes.c_uint(0), _device(driver, place))
    return context


def take(driver: Driver, size_bytes: int) -> int:
    """Take so much memory of the current context's GPU, for as long as this process lives; how much it got.

    In ever smaller pieces where there is no more in one; less than asked for only where the GPU is full.
    """
    taken, piece = 0, _CHUNK_BYTES
    while taken < size_bytes and piece >= _SMALLEST_BYTES:
        want = min(piece, size_bytes - taken)
        pointer = ctypes.c_uint64()
        if _result(driver, "cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(want)) == 0:
            taken += want
        else:
            piece //= 2
    return taken


def build(driver: Driver, place: int, ptx: bytes, *, name: bytes) -> Kernel:
    """Make a context on that GPU and have the driver compile `ptx` for it.

    Its function `name` takes a pointer to write to and a number of rounds.
    """
    context = enter(driver, place)
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    _do(driver, "cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(ptx))
    _do(driver, "cuModuleGetFunction", ctypes.byref(function), module, ctypes.c_char_p(name))
    processors = ctypes.c_int()
    device = _device(driver, place)
    _do(driver, "cuDeviceGetAttribute", ctypes.byref(processors), ctypes.c_int(_PROCESSORS), device)
    output = ctypes.c_uint64()
    _do(driver, "cuMemAlloc_v2", ctypes.byref(output), ctypes.c_size_t(256))
    return Kernel(context, function, max(1, processors.value), output)


def launch(driver: Driver, kernel: Kernel, *, rounds: int, blocks: int) -> None:
    """Begin it on every processor of its GPU, `blocks` on each; return at once."""
    count = ctypes.c_uint(rounds)
    arguments = (ctypes.c_void_p * 2)(ctypes.addressof(kernel.output), ctypes.addressof(count))
    one, none = ctypes.c_uint(1), ctypes.c_uint(0)
    _do(driver, "cuCtxSetCurrent", kernel.context)
    _do(
        driver, "cuLaunchKernel", kernel.function,
        ctypes.c_uint(kernel.processors * blocks), one, one, ctypes.c_uint(BLOCK_THREADS), one, one,
        none, ctypes.c_void_p(), arguments, ctypes.c_void_p(),
    )  # fmt: skip


def await_end(driver: Driver, kernel: Kernel) -> None:
    """Wait until all that was begun on its GPU has ended."""
    _do(driver, "cuCtxSetCurrent", kernel.context)
    _do(driver, "cuCtxSynchronize")


@contextlib.contextmanager
def quietly() -> Iterator[int]:
    """Give what libraries print to stderr meanwhile; the descriptor of the real standard output."""
    real = os.dup(1)
    os.dup2(2, 1)
    try:
        yield real
    finally:
        os.dup2(real, 1)


def _device(driver: Driver, place: int) -> ctypes.c_int:
    device = ctypes.c_int()
    _do(driver, "cuDeviceGet", ctypes.byref(device), ctypes.c_int(place))
    return device


def _do(driver: Driver, function: str, *arguments: Any) -> None:
    """Call it; raise FaultError with CUDA's own words where it refuses."""
    result = _result(driver, function, *arguments)
    if result:
        raise FaultError(f"CUDA: {function}: {_words(driver, result)}")


def _result(driver: Driver, function: str, *arguments: Any) -> int:
    try:
        call = getattr(driver.library, function)
    except AttributeError:
        raise FaultError(f"CUDA: the driver is too old, it has no {function}") from None
    return int(call(*arguments))


def _words(driver: Driver, result: int) -> str:
    text = ctypes.c_char_p()
    asked = getattr(driver.library, "cuGetErrorString", None)
    if asked is None or asked(ctypes.c_int(result), ctypes.byref(text)) or not text.value:
        return f"error {result}"
    return f"{text.value.decode(errors='replace')} (error {result})"
