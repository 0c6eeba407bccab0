"""What the leader may do: facts to say, orders to give, and the two moments at which something is judged."""

from dataclasses import dataclass

from workers.contract import control
from workers.contract import facts as f


@dataclass(frozen=True, slots=True)
class Say:
    """Append a fact under an id that makes it once-only."""

    id: str
    fact: f.Fact


@dataclass(frozen=True, slots=True)
class Send:
    """Put the attempt's task into its worker's queue, unless this leader did so already."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Give an order to a worker, unless this leader did so already."""

    worker: str
    order: control.Order


@dataclass(frozen=True, slots=True)
class Lose:
    """Take an attempt's lease away if it is still the one that was seen, and only then say that it is lost.

    Nobody can renew in between, so the fence holds. `renewed_s`: common time of the lease; None: not there.
    """

    attempt: str
    renewed_s: float | None
    fact: f.Lost


@dataclass(frozen=True, slots=True)
class Revoke:
    """Make sure that a lost attempt can never be claimed or renewed, unless this leader did so already.

    After a failover its lease may be there again.
    """

    attempt: str


@dataclass(frozen=True, slots=True)
class Judge:
    """All numbers of the phase are in: say how it ended."""

    phase: str


@dataclass(frozen=True, slots=True)
class Finish:
    """All phases are over: say how the campaign ended, and write its results."""


Action = Say | Send | Tell | Lose | Revoke | Judge | Finish
