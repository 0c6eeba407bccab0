"""The loop around `decide`: take the lead, read, decide, act; one leads, others stand by.

A crash is a replay: nothing that matters lives here.
"""

import logging
import threading
import time
import traceback
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import redis

from orchestrator.campaign_run import CampaignRun, open_run
from orchestrator.decide import slots_held
from orchestrator.dispatch import Sender, sender
from orchestrator.errors import UsageError
from orchestrator.live import live_view
from orchestrator.live_slos import SloWatch
from orchestrator.results import ERROR, Results
from orchestrator.store import AWAY, JournalMovedError, NotLeadingError, Store
from workers.contract import facts as f

TICK_S = 0.1
"""The longest the loop waits for news: start orders and hand-overs are as late as this at most."""
LEAD_EVERY_S = 0.5
SHOW_EVERY_S = 0.5
RETRY_S = 0.2
MOST_FAILURES = 5
"""After so many steps in a row that broke a campaign ends as an internal error."""
SAME_RUNS_WITHIN_S = 5.0
"""Two that start together: the leader marks its runs URL a moment after it took the lead."""
LONGEST_STEP_S = 120.0
"""A step may last longer than the lead's lease (8 h of parts are read again), but one this long hangs."""
REST_S = 2.0
"""Between two of them: a store of results that hiccups has 8 s."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Coordinator:
    """One coordinator's memory; all of it can be rebuilt from Redis and the runs URL.

    `failures`: campaign -> steps in a row that broke. `rests`: campaign -> monotonic time of its next try.
    """

    store: Store
    results: Results
    send: Sender
    runs: dict[str, CampaignRun] = field(default_factory=dict)
    watches: dict[str, SloWatch] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    rests: dict[str, float] = field(default_factory=dict)
    standby_since_s: float | None = None
    leading_since_s: float | None = None
    led_at: float = 0.0
    ticked_at: float = 0.0
    shown_at: float = 0.0
    inbox: str = "$"


def serve(*, broker: str, results: Results, stop: threading.Event) -> None:
    """Coordinate until `stop`; survives the loss of Redis and of the lead.

    Raises UsageError where it could only stand by without the leader's runs, OSError where it leads and
    cannot write to its own.
    """
    me = Coordinator(Store(broker), results, sender(broker))
    threading.Thread(target=_hold_lead, args=(me, stop), name="lead", daemon=True).start()
    while not stop.is_set():
        me.ticked_at = time.monotonic()
        try:
            if _keep_lead(me):
                _tick(me)
            else:
                stop.wait(LEAD_EVERY_S)
        except NotLeadingError:
            log.warning("the lead was lost in the middle of a step; nothing more was written")
            _forget(me)
        except AWAY as error:
            log.warning("Redis does not answer: %s", error)
            # leases could not be renewed while it was away: judge nobody for one whole lease
            me.leading_since_s = None
            stop.wait(RETRY_S)
    try:
        me.store.release()
    except redis.RedisError:
        log.warning("the lead could not be given back; it ends by itself")


def _hold_lead(me: Coordinator, stop: threading.Event) -> None:
    """Renew the lead while a step takes long; what is written is fenced all the same."""
    while not stop.wait(LEAD_EVERY_S):
        busy_s = time.monotonic() - me.ticked_at
        if me.leading_since_s is not None and LEAD_EVERY_S < busy_s < LONGEST_STEP_S:
            with suppress(redis.RedisError):  # the loop notices by itself
                me.store.renew()


def _keep_lead(me: Coordinator) -> bool:
    now = time.monotonic()
    if me.leading_since_s is not None and now - me.led_at < LEAD_EVERY_S:
        return True
    before = me.store.epoch
    if not me.store.lead():
        _stand_by(me)
        return False
    me.standby_since_s = None
    me.led_at = now
    if before != me.store.epoch:
        _lay_claim(me)
        log.info("leading, epoch %d", me.store.epoch)
        _forget(me)  # leases too: nobody could renew one while nobody led
    if me.leading_since_s is None:
        me.leading_since_s = me.store.now_s()
        me.inbox = me.store.inbox_end()
    return True


def _lay_claim(me: Coordinator) -> None:
    """Mark the runs URL, unless it is marked as this fleet's already."""
    if me.results.folder is None and not _shares_runs(me):
        marker = uuid.uuid4().hex
        me.results.mark(marker)
        me.store.mark(marker)


def _stand_by(me: Coordinator) -> None:
    """Wait for the lead. Raises UsageError where the leader's parts could not be read from here."""
    _forget(me)
    now = time.monotonic()
    if me.standby_since_s is None:
        log.info("standing by: another coordinator leads")
        me.standby_since_s = now
    if now - me.standby_since_s > SAME_RUNS_WITHIN_S and not _shares_runs(me):
        raise UsageError(
            f"another coordinator leads and keeps its runs elsewhere than {me.results.runs}: a standby there "
            "could not go on with them; say the same --runs, at a URL that both can reach"
        )


def _shares_runs(me: Coordinator) -> bool:
    return me.results.folder is not None or me.results.marker() == me.store.marker() != ""


def _forget(me: Coordinator) -> None:
    me.runs.clear()
    me.leading_since_s = None


def _tick(me: Coordinator) -> None:
    """One round over all live campaigns, then a short wait for news."""
    fleet = me.store.fleet(me.store.now_s())
    live = me.store.campaigns()
    shows = time.monotonic() - me.shown_at >= SHOW_EVERY_S
    for id_ in live:
        if time.monotonic() >= me.rests.get(id_, 0.0):
            _guarded(me, id_, fleet, shows=shows)
    if shows:
        me.shown_at = time.monotonic()
    for known in (me.runs, me.watches, me.failures, me.rests):
        for id_ in known.keys() - set(live):
            del known[id_]
    me.inbox = me.store.wait(after=me.inbox, timeout_s=TICK_S)


def _guarded(me: Coordinator, id_: str, fleet: tuple[f.WorkerCard, ...], *, shows: bool) -> None:
    """The boundary between campaigns: one that cannot be coordinated must not hold up the rest.

    What broke in the middle is opened again from its journal, as after a crash.
    """
    try:
        _step(me, id_, fleet, shows=shows)
        me.failures.pop(id_, None)
    except (NotLeadingError, *AWAY):
        raise
    except Exception as error:
        log.exception("campaign %s", id_)
        me.runs.pop(id_, None)
        me.failures[id_] = me.failures.get(id_, 0) + 1
        me.rests[id_] = time.monotonic() + REST_S
        if me.failures[id_] >= MOST_FAILURES:
            _give_up(me, id_, error)


def _step(me: Coordinator, id_: str, fleet: tuple[f.WorkerCard, ...], *, shows: bool) -> None:
    run = me.runs.get(id_) or open_run(id_, store=me.store, results=me.results, send=me.send)
    me.runs[id_] = run
    busy: Counter[str] = Counter()
    for other in me.runs.values():
        if other.id != id_:
            busy.update(slots_held(other.state, other.plan))
    now_s = me.store.now_s()  # the step before may have taken long
    run.step(fleet=fleet, busy=busy, leading_since_s=me.leading_since_s or now_s, now_s=now_s)
    if shows:
        me.store.show(id_, live_view(run, now_s, me.watches.setdefault(id_, SloWatch())))


def _give_up(me: Coordinator, id_: str, error: Exception) -> None:
    now_s = me.store.now_s()
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    fact = f.Ended(verdict="internal", reasons=(why,), at_s=now_s)
    try:
        me.store.append(id_, last_id=me.store.journal_end(id_), id_="ended", fact=fact)
    except JournalMovedError:
        return  # next time
    me.store.finish(id_, at_s=now_s, results={ERROR: why.encode()})
