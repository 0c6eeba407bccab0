"""Who looks at single requests once they are counted: samples, and the slowest ones."""

from dataclasses import dataclass
from typing import Protocol

from workers.engine.arrival import Arrival
from workers.engine.exchange import Exchange
from workers.engine.measure import Measured
from workers.protocols.contract import Answer, Request, Timing


@dataclass(frozen=True, slots=True)
class Asked:
    """One try on the wire: what the socket saw, and how the protocol read it."""

    exchange: Exchange
    answer: Answer
    timing: Timing


class Witness(Protocol):
    """Sees every request that is over, in the order in which they end; must be quick and may not wait."""

    def saw(self, arrival: Arrival, request: Request, *, asked: Asked, sample: Measured) -> None:
        """A request was counted."""
