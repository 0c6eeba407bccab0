"""What a source of readings owes the loop that asks it once a second, and what it may say.

Whatever is polled while traffic runs can be such a source: an API, a page of metrics, a device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from workers.contract.errors import ShakeoutWorkerError

AlertState = Literal["absent", "inactive", "pending", "firing"]


class UnreadError(ShakeoutWorkerError):
    """A source could not be read just now; says why."""


@dataclass(frozen=True, slots=True)
class AlertReading:
    """An alert as its source has it now; times of the common clock, 0.0 where not known.

    Fields as in `facts.AlertSeen`. `looked_s`: as of when this is so; `ended_s`: when it would have ceased,
    if it fired before.
    """

    alert: str
    state: AlertState
    looked_s: float
    active_s: float = 0.0
    fired_s: float = 0.0
    ended_s: float = 0.0
    received_s: float = 0.0
    for_s: float = 0.0
    every_s: float = 0.0
    uncertainty_s: float = 0.0
    silenced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a series; None with `why` where the source answered and does not have it."""

    series: str
    value: float | None
    why: str = ""


Reading = AlertReading | Value


class Source(Protocol):
    """Something that can be asked once a second; asked from one thread alone."""

    @property
    def name(self) -> str:
        """What it is called in facts: `prometheus`, `alertmanager`, or the target whose page it is."""

    @property
    def series(self) -> tuple[str, ...]:
        """The series that it has a value of, each time that it can be read."""

    def poll(self) -> Sequence[Reading]:
        """Read it now, within its own time limit. Raises UnreadError."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What a source said in one second of the common clock; `why` where it could not be read."""

    source: str
    series: tuple[str, ...]
    second: int
    readings: tuple[Reading, ...] = ()
    why: str = ""
