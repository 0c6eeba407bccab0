"""Whether the leader is of this worker's version: a worker of another one gets no work, and its log says so.

The leader passes it over by its card; `shakeout workers` and `doctor` tell who asks them. Whoever looks at
this worker's own log, where nothing happens, reads it here.
"""

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from workers.contract.broker import names
from workers.contract.decoding import guarded

if TYPE_CHECKING:
    import redis

LOOK_EVERY_S = 10.0
"""A leader takes over within that time, and nobody waits for the news."""

log = logging.getLogger(__name__)


class Leads(msgspec.Struct, frozen=True):
    """What matters here of a coordinator's card, which may be of any version."""

    host: str
    pid: int
    version: str


_decode = guarded(msgspec.json.Decoder(Leads).decode)


class Versions:
    """For one thread. `own`: of this worker's process, whatever has been installed since it began."""

    def __init__(self, own: str, *, every_s: float = LOOK_EVERY_S) -> None:
        self._own, self._every_s = own, every_s
        self._looked_s = float("-inf")
        self._other: Leads | None = None

    def look(self, client: "redis.Redis") -> None:
        """Hold the leader's version against ours, now and then; tell once of each difference.

        Raises redis errors.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < self._every_s:
            return
        self._looked_s = now_s
        leads = _leader(client)
        if leads is None or leads == self._other:
            return
        where = f"the coordinator on host {leads.host} (pid {leads.pid}) is version {leads.version}"
        if leads.version != self._own:
            self._other = leads
            log.warning(
                "%s, this worker %s: it gets no work from it; install version %s here and start it again",
                where,
                self._own,
                leads.version,
            )
        elif self._other is not None:
            self._other = None
            log.warning("%s, as is this worker: it gets work again", where)


def _leader(client: "redis.Redis") -> Leads | None:
    """Who leads; None where nobody does, or it shows no card that could be read."""
    nonce = client.hget(names.LEADER, "nonce")
    card = client.hget(names.COORDINATORS, nonce) if isinstance(nonce, bytes) else None
    try:
        return _decode(card) if isinstance(card, bytes) else None
    except msgspec.DecodeError:
        return None
