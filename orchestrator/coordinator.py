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

from orchestrator.admission import EVERYBODY, RefusedError, Trust
from orchestrator.campaign_run import CampaignRun
from orchestrator.coordinator_cards import VERSION, show_card, take_card_back
from orchestrator.decide import slots_held
from orchestrator.dispatch import Sender, sender
from orchestrator.eligible import ANYTHING_GOES, Rules
from orchestrator.errors import UsageError
from orchestrator.live import live_view
from orchestrator.live_slos import SloWatch
from orchestrator.opening import open_run
from orchestrator.results import ERROR, Results
from orchestrator.store import JournalMovedError, NotLeadingError, Store, is_away
from workers.contract import facts as f
from workers.contract import names
from workers.contract.halts import Halts
from workers.contract.server import await_server
from workers.contract.signing import NO_KEYS
from workers.contract.trouble import explain

TICK_S = 0.1
"""The longest the loop waits for news: start orders and hand-overs are as late as this at most."""
LEAD_EVERY_S = 0.5
SHOW_EVERY_S = 0.5
RETRY_S = 0.2
SAY_AWAY_EVERY_S = 10.0
MOST_FAILURES = 5
"""After so many steps in a row that broke a campaign ends as an internal error."""
MOST_FAILURES_OF_STORE = 30
"""Where it is a remote store of results that fails: it has a minute to come back."""
SAME_RUNS_WITHIN_S = 5.0
"""Two that start together: the leader marks its runs URL a moment after it took the lead."""
LONGEST_STEP_S = 120.0
"""A step may last longer than the lead's lease (8 h of parts are read again), but one this long hangs."""
REST_S = 2.0
"""Between two of them."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Coordinator:
    """One coordinator's memory; all of it can be rebuilt from Redis and the runs URL.

    `rules`: what it asks of every worker. `failures`: campaign -> steps in a row that broke. `rests`:
    campaign -> monotonic time of its next try.
    """

    store: Store
    results: Results
    send: Sender
    rules: Rules = ANYTHING_GOES
    trust: Trust = EVERYBODY
    halts: Halts = field(default_factory=lambda: Halts(NO_KEYS))
    runs: dict[str, CampaignRun] = field(default_factory=dict)
    watches: dict[str, SloWatch] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    rests: dict[str, float] = field(default_factory=dict)
    standby_since_s: float | None = None
    leading_since_s: float | None = None
    led_at: float = 0.0
    ticked_at: float = 0.0
    shown_at: float = 0.0
    said_away_at: float = float("-inf")
    inbox: str = "$"


def serve(*, broker: str, results: Results, trust: Trust, stop: threading.Event) -> None:
    """Coordinate until `stop`, believing whom `trust` names; survives the loss of Redis and of the lead.

    Raises UsageError where it could only stand by without the leader's runs, OSError where it leads and
    cannot write to its own, BrokerError where this Redis will not do.
    """
    if not await_server(broker, role="coordinator", stop=stop):
        return
    signs = trust.keys.own.id if trust.keys.own is not None else ""
    me = Coordinator(
        Store(broker),
        results,
        sender(broker, trust.keys),
        rules=Rules(version=VERSION, key=signs),
        trust=trust,
        halts=Halts(trust.people),
    )
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
        except redis.RedisError as error:
            if not is_away(error):
                raise
            if time.monotonic() - me.said_away_at > SAY_AWAY_EVERY_S:
                me.said_away_at = time.monotonic()
                log.warning("nothing can be done: %s", explain(error, broker))
            # leases could not be renewed while it was away: judge nobody for one whole lease
            me.leading_since_s = None
            stop.wait(RETRY_S)
    try:
        take_card_back(me.store)
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
    leads = me.store.lead()
    show_card(me.store, runs=me.results.runs, key=me.rules.key or "")
    if not leads:
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
    for said in me.halts.read(me.store.pressed(), now_s=me.store.now_s()):
        log.warning("%s", said)
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
        if _step(me, id_, fleet, shows=shows).writing is None:  # how that goes, a later step will tell
            me.failures.pop(id_, None)
    except NotLeadingError:
        raise
    except RefusedError as error:
        _refuse(me, id_, error)
    except Exception as error:
        if is_away(error):
            raise
        log.exception("campaign %s", id_)
        me.runs.pop(id_, None)
        me.failures[id_] = me.failures.get(id_, 0) + 1
        me.rests[id_] = time.monotonic() + REST_S
        patient = me.results.remote and isinstance(error, OSError)
        most = MOST_FAILURES_OF_STORE if patient else MOST_FAILURES
        if me.failures[id_] >= most:
            _give_up(me, id_, error)


def _step(me: Coordinator, id_: str, fleet: tuple[f.WorkerCard, ...], *, shows: bool) -> CampaignRun:
    run = me.runs.get(id_) or open_run(
        id_, store=me.store, results=me.results, send=me.send, trust=me.trust, halts=me.halts
    )
    me.runs[id_] = run
    busy: Counter[str] = Counter()
    held_by: dict[str, tuple[str, ...]] = {}
    for other in me.runs.values():
        if other.id != id_:
            held = slots_held(other.state, other.plan)
            busy.update(held)
            held_by.update({worker: (*held_by.get(worker, ()), other.id) for worker in held})
    now_s = me.store.now_s()  # the step before may have taken long
    run.step(
        fleet=fleet,
        busy=busy,
        leading_since_s=me.leading_since_s or now_s,
        now_s=now_s,
        rules=me.rules,
        held_by=held_by,
    )
    if shows:
        me.store.show(id_, live_view(run, now_s, me.watches.setdefault(id_, SloWatch())))
    if run.finished:
        del me.runs[id_]  # should it be among the live ones again, it is looked at afresh
    return run


def _refuse(me: Coordinator, id_: str, error: RefusedError) -> None:
    """End a campaign that is not to be run, at once; nothing is left of one that seemed to run already.

    The results of a campaign whose submission was replayed stay as they are.
    """
    log.warning("campaign %s is refused: %s", id_, error)
    now_s, why = me.store.now_s(), str(error)
    refused = f.Refused(what="submission", by=error.by, why=why, at_s=now_s)
    ended = f.Ended(verdict="refused", reasons=(why,), at_s=now_s)
    try:
        for name, fact in (("refused:submission", refused), ("ended", ended)):
            me.store.append(id_, last_id=me.store.journal_end(id_), id_=name, fact=fact)
    except JournalMovedError:
        return  # next time
    if me.store.is_finished(id_):
        me.store.client.zrem(names.CAMPAIGNS, id_)
    else:
        me.store.finish(id_, at_s=now_s, results={ERROR: why.encode()})


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
