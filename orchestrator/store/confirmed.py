"""Behind Sentinel: whether a replica has what was decided, so that no failover forgets it."""

from typing import Any

import redis

from workers.contract.broker.connection import is_confirmed
from workers.contract.facts import Aborting, HandedOver, PhaseStarted, Placed, Resumed, Stationed

ACTED_UPON = Stationed | Placed | PhaseStarted | Resumed | HandedOver | Aborting
"""Decisions that workers act upon."""
WITHIN_MS = 200
"""A replica that follows confirms within a round trip."""


class UnconfirmedError(redis.ConnectionError):
    """No replica has what was decided last: after a failover nobody would know, so nobody may act on it."""


def confirm(client: Any) -> None:
    """Return once a replica has everything that was written so far, or where there is none to fail over to.

    Raises UnconfirmedError, and redis errors.
    """
    pipe = client.pipeline(transaction=False)
    pipe.info("replication")
    pipe.wait(1, WITHIN_MS)  # for what its own connection has seen, which by now is everything
    info, replicas = pipe.execute()
    if not is_confirmed(client, info, replicas=replicas):
        raise UnconfirmedError(
            "no replica confirms what was decided, and after a failover nobody would know of it: nothing is "
            "acted upon until one does; see whether the replicas follow (INFO replication)"
        )
