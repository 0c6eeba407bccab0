"""The leader's side of retention: it looks for old runs once an hour, beside its work, and tells of it."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import redis

from orchestrator.coordinator.auditing import keep
from orchestrator.errors import UsageError
from orchestrator.results.audit import Audited
from orchestrator.results.results import Results
from orchestrator.results.retention import Pruned, encode_pruned, prune, said_of
from orchestrator.store.entries import NotLeadingError
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.signed.signing import NO_KEYS, Keys

EVERY_S: Final = 3600.0
CARDS_KEPT_S: Final = 7 * 24 * 3600.0
"""Nobody is shown them after ten minutes; fleets that grow and shrink by the hour have thousands of names."""
log = logging.getLogger(__name__)
_BESIDE = ThreadPoolExecutor(1, thread_name_prefix="retention")


@dataclass(slots=True)
class Retaining:
    """Looks for runs that are older than `runs_s`, None for never; `keys` seal what the audit has of it.

    Cards of workers that are long gone are taken away in the same round.
    """

    runs_s: float | None = None
    keys: Keys = NO_KEYS
    looked_at: float = float("-inf")
    looking: "Future[Pruned] | None" = field(default=None)

    def look(self, store: Store, results: Results) -> None:
        """Begin when it is time, and tell when it is done. Raises NotLeadingError."""
        if self.looking is not None and self.looking.done():
            self._tell(store, self.looking)
            self.looking = None
        if self.looking is None and time.monotonic() - self.looked_at >= EVERY_S:
            self.looked_at = time.monotonic()
            forget_workers(store)
            if self.runs_s is None or results.folder is not None:
                return
            live = frozenset(store.campaigns())
            self.looking = _BESIDE.submit(
                prune, results, keep_s=self.runs_s, now_s=store.now_s(), own_s=time.time(), live=live,
                go_on=lambda: _leads(store),
            )  # fmt: skip

    def _tell(self, store: Store, looking: "Future[Pruned]") -> None:
        try:
            found = looking.result()
        except (OSError, UsageError) as error:
            log.warning("old runs are not removed: %s", error)
            return
        for id_, why in found.left.items():
            log.warning("run %s is old, and left alone: %s", id_, why)
        if found.refused:
            log.warning("old runs are not removed: %s", found.refused)
        store.client.set(names.PRUNED, encode_pruned(found))
        if found.removed:
            entry = Audited(
                at_s=found.at_s, what="pruned", id=f"pruned:{found.at_s}", by="shakeout", why=said_of(found)
            )
            log.info("removed: %s", ", ".join(found.removed))
            keep(store, entry, keys=self.keys)


def forget_workers(store: Store) -> None:
    """Take away the cards of workers that have said nothing for `CARDS_KEPT_S`; a live one shows another."""
    now_s = store.now_s()
    gone = [card.worker for card in store.cards() if now_s - card.seen_s > CARDS_KEPT_S]
    if gone:
        store.client.hdel(names.WORKERS, *gone)


def _leads(store: Store) -> bool:
    try:
        return store.renew()
    except (redis.RedisError, NotLeadingError):
        return False
