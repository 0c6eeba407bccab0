"""A recorded stream of arrivals: its times, packed for the way to engines, and held where they are asked.

Times are whole nanoseconds since the first arrival. What travels is named by the sha256 of its packed form,
so that whoever holds the same name has the same schedule; `speed` divides the times where they are held.
"""

import hashlib
import zlib
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import numpy as np
import numpy.typing as npt

from workers.contract.errors import DataError

MAX_ROWS: Final = 20_000_000
"""Arrivals of one trace: 160 MB as int64, about 17 days at the rate of the largest public one (28/s)."""
LEAST_S: Final = 1.0
"""A shorter trace lasts this long: rates are per second."""
NS: Final = 1_000_000_000
MS: Final = 1_000_000

Times = npt.NDArray[np.int64]

_MAGIC: Final = b"shakeout-times-1\n"
_HEAD: Final = np.dtype([("count", "<i8"), ("unit_ns", "<i8")])
_held: WeakValueDictionary[tuple[str, float], Times] = WeakValueDictionary()


class Trace(msgspec.Struct, frozen=True):
    """What a schedule needs of a recorded stream beside its times.

    `sha256`, `size_bytes`: of the packed times; `name`: the file as the campaign has it; `count`: arrivals.
    `duration_s`, `peak_per_s` (most arrivals within any one second) and `mean_per_s` hold at `speed`.
    `unit_ns`: the times are multiples of it, at speed 1.
    """

    sha256: str
    size_bytes: int
    name: str
    count: int
    duration_s: float
    peak_per_s: float
    mean_per_s: float
    unit_ns: int
    speed: float = 1.0


def trace_of(times: Times, *, packed: bytes, name: str, speed: float = 1.0) -> Trace:
    """Sum a stream up; `times` as recorded (first 0, never falling), `packed` as `pack` made it."""
    quick = at_speed(times, speed)
    # the last arrival lies inside, on the next whole millisecond
    duration_s = max(LEAST_S, (int(quick[-1]) // MS + 1) * MS / NS)
    return Trace(
        sha256=hashlib.sha256(packed).hexdigest(),
        size_bytes=len(packed),
        name=name,
        count=len(times),
        duration_s=duration_s,
        peak_per_s=float(_most_in_a_second(quick)),
        mean_per_s=len(times) / duration_s,
        unit_ns=_unit_ns(times),
        speed=speed,
    )


def at_speed(times: Times, speed: float) -> Times:
    """The times divided by `speed`, rounded to whole nanoseconds."""
    return times if speed == 1.0 else np.rint(times / speed).astype(np.int64)


def pack(times: Times) -> bytes:
    """Two to three bytes an arrival: gaps in their common unit, byte by byte, compressed."""
    unit_ns = _unit_ns(times)
    gaps = np.diff(times, prepend=times[:1]) // unit_ns
    head = np.array([(len(times), unit_ns)], dtype=_HEAD).tobytes()
    planes = np.ascontiguousarray(gaps.astype("<u8").view(np.uint8).reshape(-1, 8).T)
    return _MAGIC + head + zlib.compress(planes.tobytes(), 6)


def unpack(packed: bytes, *, name: str) -> Times:
    """The times that were packed. Raises DataError where they cannot be read; `name` says whose they are."""
    body = memoryview(packed)[len(_MAGIC) :]
    if packed[: len(_MAGIC)] != _MAGIC or len(body) < _HEAD.itemsize:
        raise DataError(f"the packed times of {name} are none; submit the campaign again")
    count, unit_ns = (int(part) for part in np.frombuffer(body[: _HEAD.itemsize], dtype=_HEAD)[0])
    reader = zlib.decompressobj()
    try:
        raw = reader.decompress(body[_HEAD.itemsize :], MAX_ROWS * 8 + 1)
    except zlib.error as error:
        raise DataError(
            f"the packed times of {name} are broken: {error}; submit the campaign again"
        ) from error
    if not 0 < count <= MAX_ROWS or len(raw) != count * 8:
        raise DataError(f"the packed times of {name} are cut short; submit the campaign again")
    gaps = np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(8, count).T).view("<i8").reshape(-1)
    times: Times = np.cumsum(gaps) * unit_ns
    return times


def hold(trace: Trace, times: Times) -> Times:
    """Make a trace's times known in this process for as long as the caller keeps what is returned.

    `times`: as recorded. Raises DataError where they are not the trace's.
    """
    if len(times) != trace.count:
        raise DataError(
            f"{trace.name} has {len(times):,} arrivals where {trace.count:,} were planned; submit it again"
        )
    return _held.setdefault((trace.sha256, trace.speed), at_speed(times, trace.speed))


def load(trace: Trace, path: Path) -> Times:
    """Hold a trace's times, read from their packed form. Raises DataError; keep what is returned."""
    held = _held.get((trace.sha256, trace.speed))
    if held is not None:
        return held
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"the packed times of {trace.name} cannot be read: {error.strerror}") from error
    return hold(trace, unpack(packed, name=trace.name))


def times_of(trace: Trace) -> Times:
    """A trace's times at its speed. Raises DataError where nobody in this process holds them."""
    held = _held.get((trace.sha256, trace.speed))
    if held is None:
        raise DataError(f"the times of {trace.name} are not here; they are loaded before a schedule is asked")
    return held


def _unit_ns(times: Times) -> int:
    return int(np.gcd.reduce(times)) or 1


def _most_in_a_second(times: Times) -> int:
    """The most arrivals in any span of 1 s, end excluded."""
    most = 0
    for first in range(0, len(times), 1 << 20):
        some = times[first : first + (1 << 20)]
        ends = np.searchsorted(times, some + NS, side="left")
        most = max(most, int((ends - np.arange(first, first + len(some))).max()))
    return most


def is_coarse(trace: Trace) -> bool:
    """Whether all arrivals fall on whole seconds of the recording, so that each begins with a burst."""
    return trace.unit_ns >= NS
