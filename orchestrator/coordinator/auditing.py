"""The leader's side of the audit: what somebody did is kept once, and said in the log.

Nothing waits for it: what a full Redis does not take is tried again a moment later, by a successor too.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import redis

from orchestrator.coordinator.admission import Trust
from orchestrator.results.audit import (
    MOST_ENTRIES,
    Audited,
    encode_audited,
    of_button,
    of_campaign,
    sealed,
    words,
)
from orchestrator.store.entries import Entry
from orchestrator.store.store import Store
from workers.contract.signed.drains import check_drain, decode_drain
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import Keys, SignatureError, key_id

log = logging.getLogger("shakeout.audit")


def keep(store: Store, entry: Audited, *, keys: Keys) -> bool:
    """Keep an entry, once; False where Redis does not take it now. Raises NotLeadingError."""
    body = encode_audited(sealed(entry, keys))
    try:
        if store.audit(entry.id, body, at_s=entry.at_s, most=MOST_ENTRIES):
            log.info("%s", words(entry))
    except redis.RedisError as error:
        log.debug("not kept now: %s", error)
        return False
    return True


@dataclass(slots=True)
class CampaignAudit:
    """How far the journal of one campaign has been looked through."""

    campaign: str
    looked: int = 0

    def look(self, entries: list[Entry], *, by: str, store: Store, keys: Keys) -> None:
        """Keep what is new in what counts of the journal. `by`: who submitted it. Raises NotLeadingError."""
        while self.looked < len(entries):
            for one in of_campaign(self.campaign, (entries[self.looked].fact,), by=by):
                if not keep(store, one, keys=keys):
                    return
            self.looked += 1


@dataclass(slots=True)
class FleetAudit:
    """What persons said to the whole fleet; `kept`: ids of what needs no second look in this life."""

    kept: set[str] = field(default_factory=set)

    def look(self, store: Store, halts: Halts, trust: Trust) -> None:
        """Keep the newest halt, resume and drains that are believed. Raises NotLeadingError, redis errors."""
        for one in (*_presses(halts), *_drains(store.drains(), trust.people, now_s=store.now_s())):
            if one.id not in self.kept and keep(store, one, keys=trust.keys):
                self.kept.add(one.id)


def _presses(halts: Halts) -> Iterator[Audited]:
    halt, resume = halts.hits(0.0), halts.resumed()
    if halt is not None:
        yield of_button("halted", halt)
    if resume is not None:
        yield of_button("resumed", resume)


def _drains(bodies: Iterable[bytes], keys: Keys, *, now_s: float) -> Iterator[Audited]:
    for body in bodies:
        with suppress(msgspec.DecodeError, SignatureError):  # the worker itself says so
            asked = decode_drain(body)
            check_drain(asked, keys=keys, now_s=now_s)
            key = next((str(one) for one in keys.keys if one.id == key_id(asked.signature)), "")
            id_ = f"drained:{asked.worker}:{asked.incarnation}:{asked.at_s}"
            yield Audited(
                at_s=asked.at_s, what="drained", id=id_, on=asked.worker, by=asked.by, key=key, why=asked.why
            )
