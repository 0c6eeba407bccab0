"""What became of faults whose worker died while it held them: told in its name by whoever finds them."""

import logging
from collections.abc import Iterable
from typing import Any

from workers.chaos.ledger import Entry
from workers.chaos.processes import boot_id
from workers.clock import CommonClock, boot_ns
from workers.contract.broker import names, scripts
from workers.contract.broker.trouble import explain
from workers.contract.facts import FaultSeen, encode_fact
from workers.contract.signed.signing import NO_KEYS, Keys
from workers.contract.signed.trust import sign_observation
from workers.faults.steps import step_of
from workers.link import AWAY

_NEVER = "not injected: its worker ended while it was being prepared"

log = logging.getLogger(__name__)


def tell_of_faults(
    entries: Iterable[Entry], *, client: Any, clock: CommonClock, keys: Keys = NO_KEYS
) -> None:
    """Say of each fault that an earlier worker of this host left when it was undone, or what is left of it.

    `entries`: as `reconcile` returns them. Once each, as long as its campaign is known; where Redis is away
    nobody is told, and the report says that it was never seen reverted.
    """
    for entry in entries:
        how = (entry.why or "reverted") if entry.began else _NEVER
        log.warning("fault %s of %s was left by an earlier worker: %s", entry.name, entry.attempt, how)
        campaign, _, attempt = entry.attempt.partition(" ")
        try:
            holder = client.hget(names.claims(campaign), attempt)
            if holder is not None:
                _say(campaign, attempt, _seen(entry, attempt, clock), holder, client=client, keys=keys)
        except AWAY as error:
            log.warning("its campaign is not told: %s", explain(error, ""))


def _seen(entry: Entry, attempt: str, clock: CommonClock) -> FaultSeen:
    """The step of the fault that nobody has told yet."""
    now_s, ago_s = clock.now(), 0.0
    if entry.reverted_s is not None and entry.boot == boot_id():
        ago_s = boot_ns() / 1e9 - entry.reverted_s
    never = entry.reverted_s is not None and not entry.began
    return FaultSeen(
        at_s=now_s - ago_s,
        attempt=attempt,
        what="residue" if entry.reverted_s is None else "failed" if never else "reverted",
        step=step_of(entry.name),
        fault=entry.fault,
        took_effect=False if never else None,
        why=_NEVER if never else entry.why,
        uncertainty_s=clock.reading().uncertainty_s,
        did=entry.did,
    )


def _say(campaign: str, attempt: str, fact: FaultSeen, holder: bytes, *, client: Any, keys: Keys) -> None:
    fact = sign_observation(fact, campaign=campaign, keys=keys)
    places = [names.journal(campaign), names.fact_ids(campaign), names.claims(campaign), names.INBOX]
    words = [f"{attempt}:fault-left:{fact.step}:{fact.what}", encode_fact(fact), attempt, holder, campaign]
    client.eval(scripts.FACT, len(places), *places, *words)
