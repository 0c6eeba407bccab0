"""One round trip that renews all leases of a worker, and what its answers are worth.

A renewal counts only if a leader would learn of it: somebody leads, the campaign is still there, and behind
Sentinel a replica has it, for a failover forgets what no replica has.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from workers.contract.broker import names, scripts
from workers.contract.broker.connection import is_confirmed

if TYPE_CHECKING:
    import redis

TAKEN: Final = -1
"""RENEW's word for a lease that the leader took away."""
WORTHLESS: Final = -2
"""RENEW's word for one that was not renewed, for nobody leads: the engine falls silent by itself."""
CONFIRMED_WITHIN_MS: Final = 200
"""A replica that follows confirms within a round trip; renewals come every 500 ms."""
FORGOTTEN_AFTER_S: Final = 10.0
"""A campaign that Redis does not know: a leader that remembers puts it back sooner."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round trip brought: `info` of the server, red button, order to drain, answers of RENEW."""

    info: dict[str, Any]
    pressed: dict[bytes, bytes]
    asked: bytes | None
    answers: dict[str, list[int]]


@dataclass(slots=True)
class Renewals:
    """For one thread. `replicated`: behind Sentinel. `missing`: campaigns that Redis lacks, since when."""

    worker: str
    replicated: bool
    missing: dict[str, float] = field(default_factory=dict)

    def renew(self, client: "redis.Redis", attempts: Mapping[str, Sequence[str]]) -> Round:
        """Renew these attempts of these campaigns. Raises redis errors."""
        pipe = client.pipeline(transaction=False)
        pipe.info("server")
        pipe.hgetall(names.HALT)
        pipe.hget(names.DRAIN, self.worker)
        for campaign, some in attempts.items():
            pipe.zscore(names.CAMPAIGNS, campaign)
            pipe.eval(scripts.RENEW, 1, names.leases(campaign), *some)
        if self.replicated:
            pipe.info("replication")
            pipe.wait(1, CONFIRMED_WITHIN_MS if attempts else 1)
        info, pressed, asked, *rest = pipe.execute()
        confirmed = not self.replicated or is_confirmed(client, rest[-2], replicas=rest[-1])
        pairs = zip(attempts, rest[0::2], rest[1::2], strict=False)
        answers = {
            campaign: self._worth(campaign, answer, known=known is not None, confirmed=confirmed)
            for campaign, known, answer in pairs
        }
        self.missing = {campaign: since for campaign, since in self.missing.items() if campaign in attempts}
        return Round(info, pressed, asked, answers)

    def _worth(self, campaign: str, answers: list[int], *, known: bool, confirmed: bool) -> list[int]:
        if known:
            self.missing.pop(campaign, None)
        elif time.monotonic() - self.missing.setdefault(campaign, time.monotonic()) > FORGOTTEN_AFTER_S:
            log.error("Redis knows nothing of campaign %s any more: its attempts here are ended", campaign)
            return [TAKEN] * len(answers)
        if known and confirmed:
            return answers
        return [TAKEN if answer == TAKEN else WORTHLESS for answer in answers]
