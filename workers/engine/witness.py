"""Who looks at single requests once they are counted: samples, and the slowest ones."""

from typing import Protocol

import msgspec

from workers.engine.arrival import Arrival
from workers.engine.exchange import Exchange
from workers.engine.measure import Measured
from workers.protocols.contract import Answer, Request, Timing


class Asked(msgspec.Struct, frozen=True):
    """One try on the wire: what the socket saw, and how the protocol read it."""

    exchange: Exchange
    answer: Answer
    timing: Timing


class Witness(Protocol):
    """Sees requests that are over, in the order in which they end; must be quick and may not wait."""

    @property
    def floor_s(self) -> float:
        """Latency up to which ok requests without the times of a stream need not be shown; below 0: none."""

    def saw(self, arrival: Arrival, request: Request, *, asked: Asked, sample: Measured) -> None:
        """A request was counted."""
