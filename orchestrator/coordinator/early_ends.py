"""Campaigns that end without a report: refused before any of it ran, or given up where each step breaks."""

import logging
import traceback
from collections.abc import Mapping

from orchestrator.coordinator.admission import RefusedError
from orchestrator.coordinator.auditing import keep
from orchestrator.results.audit import of_campaign
from orchestrator.results.results import ERROR
from orchestrator.store.entries import JournalMovedError
from orchestrator.store.store import KEPT, Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import Keys
from workers.contract.signed.trust import LAST, sign_decision

log = logging.getLogger(__name__)


def refuse(store: Store, id_: str, error: RefusedError, *, keys: Keys) -> None:
    """End a campaign that is not to be run, at once; nothing is left of one that seemed to run already.

    The results of a campaign whose submission was replayed stay as they are.
    """
    log.warning("campaign %s is refused: %s", id_, error)
    now_s, why = store.now_s(), str(error)
    refused = f.Refused(what="submission", by=error.by, why=why, at_s=now_s)
    ended = f.Ended(verdict="refused", reasons=(why,), at_s=now_s)
    if not _said_last(store, id_, {"refused:submission": refused, "ended": ended}, keys=keys):
        return
    if store.is_finished(id_):
        store.client.zrem(names.CAMPAIGNS, id_)
    else:
        store.finish(id_, at_s=now_s, results={ERROR: why.encode()})
    for one in of_campaign(id_, (refused, ended), by=error.by):
        keep(store, one, keys=keys)


def give_up(store: Store, id_: str, error: Exception, *, keys: Keys) -> None:
    """End a campaign as an internal error: what breaks it breaks it again and again."""
    now_s = store.now_s()
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    ended = f.Ended(verdict="internal", reasons=(why,), at_s=now_s)
    if not _said_last(store, id_, {"ended": ended}, keys=keys):
        return
    store.finish(id_, at_s=now_s, results={ERROR: why.encode()})
    for one in of_campaign(id_, (ended,), by=""):
        keep(store, one, keys=keys)


def clear(store: Store, id_: str) -> None:
    """Delete what stands of it: values of another kind are nobody's, and would keep it from its end."""
    log.error("campaign %s: what stands in Redis of it is not Shakeout's, and is deleted", id_)
    store.client.delete(*(key(id_) for key in KEPT))


def _said_last(store: Store, id_: str, facts: Mapping[str, f.Fact], *, keys: Keys) -> bool:
    """Append a campaign's last facts, by their ids; False where somebody else wrote meanwhile: next time."""
    try:
        for name, said in facts.items():
            fact = sign_decision(said, campaign=id_, number=LAST, keys=keys)
            store.append(id_, last_id=store.journal_end(id_), id_=name, fact=fact)
    except JournalMovedError:
        return False
    return True
