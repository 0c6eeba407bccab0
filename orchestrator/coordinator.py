"""The loop around `decide`: take the lead, read, decide, act; one leads, others stand by.

A crash is a replay: nothing that matters lives here.
"""

import logging
import threading
import time
import traceback
from dataclasses import dataclass, field

import redis

from orchestrator.campaign_run import CampaignRun, open_run
from orchestrator.dispatch import Sender, sender
from orchestrator.live import live_view
from orchestrator.live_slos import SloWatch
from orchestrator.results import ERROR, Results
from orchestrator.store import NotLeadingError, Store
from workers.contract import facts as f
from workers.contract import names

TICK_S = 0.1
"""The longest the loop waits for news: start orders and hand-overs are as late as this at most."""
LEAD_EVERY_S = 0.5
SHOW_EVERY_S = 0.5
RETRY_S = 0.2
MOST_FAILURES = 3
"""After so many steps in a row that broke.

A campaign ends as an internal error instead of holding up the others.
"""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Coordinator:
    """One coordinator's memory; all of it can be rebuilt from Redis and the runs URL."""

    store: Store
    results: Results
    send: Sender
    runs: dict[str, CampaignRun] = field(default_factory=dict)
    watches: dict[str, SloWatch] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    leading_since_s: float | None = None
    led_at: float = 0.0
    shown_at: float = 0.0
    inbox: str = "$"


def serve(*, broker: str, results: Results, stop: threading.Event) -> None:
    """Coordinate until `stop`; survives the loss of Redis and of the lead."""
    me = Coordinator(Store(broker), results, sender(broker))
    while not stop.is_set():
        try:
            if _keep_lead(me):
                _tick(me)
            else:
                stop.wait(LEAD_EVERY_S)
        except NotLeadingError:
            log.warning("another coordinator leads now")
            _forget(me)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            log.warning("Redis does not answer: %s", error)
            # leases could not be renewed while it was away: judge nobody for one whole lease
            me.leading_since_s = None
            stop.wait(RETRY_S)
    try:
        me.store.release()
    except redis.RedisError:
        log.warning("the lead could not be given back; it ends by itself")


def _keep_lead(me: Coordinator) -> bool:
    now = time.monotonic()
    if me.leading_since_s is not None and now - me.led_at < LEAD_EVERY_S:
        return True
    before = me.store.epoch
    if not me.store.lead():
        _forget(me)
        return False
    me.led_at = now
    if before != me.store.epoch:
        log.info("leading, epoch %d", me.store.epoch)
        me.runs.clear()
    if me.leading_since_s is None:
        me.leading_since_s = me.store.now_s()
        me.inbox = me.store.inbox_end()
    return True


def _forget(me: Coordinator) -> None:
    me.runs.clear()
    me.leading_since_s = None


def _tick(me: Coordinator) -> None:
    """One round over all live campaigns, then a short wait for news."""
    now_s = me.store.now_s()
    fleet = me.store.fleet(now_s)
    live = me.store.campaigns()
    for id_ in live:
        if id_ not in me.runs:
            run = open_run(id_, store=me.store, results=me.results, send=me.send)
            if run is None:
                continue
            me.runs[id_] = run
        _step(me, me.runs[id_], fleet, now_s)
    for id_ in [id_ for id_ in me.runs if id_ not in live or me.runs[id_].finished]:
        del me.runs[id_]
    if time.monotonic() - me.shown_at >= SHOW_EVERY_S:
        me.shown_at = time.monotonic()
        for run in me.runs.values():
            me.store.show(run.id, live_view(run, now_s, me.watches.setdefault(run.id, SloWatch())))
    me.inbox = me.store.wait(after=me.inbox, timeout_s=TICK_S)


def _step(me: Coordinator, run: CampaignRun, fleet: tuple[f.WorkerCard, ...], now_s: float) -> None:
    """One campaign's step; a campaign that breaks us does not break the others."""
    busy: dict[str, int] = {}
    for other in me.runs.values():
        if other.id != run.id:
            for worker, slots in other.busy().items():
                busy[worker] = busy.get(worker, 0) + slots
    try:
        run.step(fleet=fleet, busy=busy, leading_since_s=me.leading_since_s or now_s, now_s=now_s)
        me.failures.pop(run.id, None)
    except (NotLeadingError, redis.ConnectionError, redis.TimeoutError):
        raise
    except Exception as error:
        # the boundary between campaigns: one that cannot be coordinated must not hold up the rest
        log.exception("campaign %s", run.id)
        me.failures[run.id] = me.failures.get(run.id, 0) + 1
        if me.failures[run.id] >= MOST_FAILURES:
            _give_up(me, run, error, now_s)


def _give_up(me: Coordinator, run: CampaignRun, error: Exception, now_s: float) -> None:
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    me.store.client.delete(names.leases(run.id))  # nobody renews: every engine of it falls silent
    me.store.say(run.id, id_="ended", fact=f.Ended(verdict="internal", reasons=(why,), at_s=now_s))
    me.store.finish(run.id, at_s=now_s, results={ERROR: why.encode()})
    me.runs.pop(run.id, None)
