"""The common clock: Redis TIME, as this process's monotonic clock plus an offset with a known uncertainty.

common = monotonic + offset. The offset of the quickest of several round trips counts; it is wrong by at most
half of that trip. A server is known by its run id: another server is another clock, so the epoch of the
reading changes.
"""

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = 7
"""Round trips a measurement: one quick one among them is near certain, and all take a few ms."""
WITHIN_S = 0.5
"""No further question after so long: leases wait meanwhile, and on a slow way one answer has to do."""
MEASURE_EVERY_S = 10.0
"""Quartz drifts up to 50 ppm: 0.5 ms in this time."""


class TimeSource(Protocol):
    """What is asked for the time: a Redis client."""

    def time(self) -> tuple[int, int]:
        """Return seconds and microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement; `server` is the run id of the server whose clock it is."""

    offset_s: float
    uncertainty_s: float
    server: str


class CommonClock:
    """Common time for every thread of this process; useless before the first `measure`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = Reading(time.time() - time.monotonic(), 1.0, "")

    def reading(self) -> Reading:
        """Return the latest measurement; before the first, the host's wall clock give or take a second."""
        with self._lock:
            return self._reading

    def measure(self, source: TimeSource, *, server: str) -> Reading:
        """Ask the server several times and keep the quickest answer. Raises what the source raises."""
        offset_s, trip_s = quickest(source.time)
        reading = Reading(offset_s, trip_s / 2, server)
        with self._lock:
            self._reading = reading
        return reading

    def now(self) -> float:
        """Seconds of common time since 1970."""
        return time.monotonic() + self.reading().offset_s

    def common_s(self, monotonic_ns: int) -> float:
        """Common time of a moment of CLOCK_MONOTONIC."""
        return monotonic_ns / 1e9 + self.reading().offset_s

    def monotonic_ns(self, common_s: float) -> int:
        """The moment of CLOCK_MONOTONIC at which common time is `common_s`."""
        return round((common_s - self.reading().offset_s) * 1e9)


def quickest(ask: "Callable[[], tuple[int, int]]") -> tuple[float, float]:
    """Offset and round trip in seconds of the quickest of `SAMPLES` questions, of fewer on a slow way.

    Source: Cristian, Probabilistic clock synchronization, 1989.
    """
    best = (0.0, float("inf"))
    until_s = time.monotonic() + WITHIN_S
    for number in range(SAMPLES):
        if number and time.monotonic() > until_s:
            break
        before = time.monotonic()
        seconds, micros = ask()
        after = time.monotonic()
        if after - before < best[1]:
            best = (seconds + micros / 1e6 - (before + after) / 2, after - before)
    return best


def boot_ns() -> int:
    """Now on CLOCK_BOOTTIME, which also counts while the host sleeps: the clock of fences."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
