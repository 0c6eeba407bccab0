"""The loop around `decide`: take the lead, read, decide, act; one leads, others stand by.

A crash is a replay: nothing that matters lives here.
"""

import gc
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import redis

from orchestrator.coordinator.admission import EVERYBODY, RefusedError, Trust
from orchestrator.coordinator.announcing import Announcing, Permitted
from orchestrator.coordinator.auditing import FleetAudit
from orchestrator.coordinator.beginning import game_day_refusal
from orchestrator.coordinator.campaign_run import CampaignRun
from orchestrator.coordinator.cards import VERSION, show_card, take_card_back
from orchestrator.coordinator.guarding import Guard
from orchestrator.coordinator.lost_writes import Memory, recall, settles_s
from orchestrator.coordinator.opening import open_run
from orchestrator.coordinator.others import beside
from orchestrator.coordinator.pace import Pace
from orchestrator.coordinator.retaining import Retaining
from orchestrator.coordinator.scheduling import Scheduling
from orchestrator.coordinator.turns import Turns
from orchestrator.dispatch import Sender, sender
from orchestrator.errors import UsageError
from orchestrator.live.live import live_view
from orchestrator.live.slos import SloWatch
from orchestrator.overview.broker_state import broker_trouble
from orchestrator.placement.ceilings import NO_LIMITS
from orchestrator.placement.eligible import ANYTHING_GOES, Rules, rules_of
from orchestrator.results.results import Results
from orchestrator.results.retention import KEPT, Kept
from orchestrator.store.entries import JournalMovedError, NotLeadingError
from orchestrator.store.store import Store, is_away
from workers.contract import facts as f
from workers.contract.broker.connection import masked
from workers.contract.broker.server import await_server
from workers.contract.broker.trouble import explain, is_full
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import NO_KEYS

TICK_S = 0.1
"""The longest the loop waits for news: start orders and hand-overs are as late as this at most."""
BRIEF_S = 0.02
"""After a longer round as long a rest: the news of a thousand workers are read together, not one by one."""
COLLECT_EVERY = 20_000
"""Objects made between two looks for garbage: at the usual 700 that is a third of the work on snapshots."""
LEAD_EVERY_S = 0.5
SHOW_EVERY_S = 0.5
RETRY_S = 0.2
SAY_AWAY_EVERY_S = 10.0
SAME_RUNS_WITHIN_S = 5.0
"""Two that start together: the leader marks its runs URL a moment after it took the lead."""
LONGEST_STEP_S = 120.0
"""A step may last longer than the lead's lease (8 h of parts are read again), but one this long hangs."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Coordinator:
    """One coordinator's memory; all of it can be rebuilt from Redis and the runs URL.

    `rules`: what it asks of every worker. `audit`, `retaining`: what outlives campaigns, and for how long.
    `scheduling`: campaigns that it is to submit by itself.
    `fleet`: cards of the workers that were alive at the last look.
    `guard`: which campaigns broke. `turns`: who may begin.
    """

    store: Store
    results: Results
    send: Sender
    rules: Rules = ANYTHING_GOES
    trust: Trust = EVERYBODY
    halts: Halts = field(default_factory=lambda: Halts(NO_KEYS))
    runs: dict[str, CampaignRun] = field(default_factory=dict)
    watches: dict[str, SloWatch] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)
    turns: Turns = field(default_factory=Turns)
    memory: Memory = field(default_factory=Memory)
    audit: FleetAudit = field(default_factory=FleetAudit)
    retaining: Retaining = field(default_factory=Retaining)
    scheduling: Scheduling = field(default_factory=Scheduling)
    announcing: Announcing = field(default_factory=Announcing)
    fleet: tuple[f.WorkerCard, ...] = ()
    cards_read: Pace = field(default_factory=Pace)
    standby_since_s: float | None = None
    leading_since_s: float | None = None
    led_at: float = 0.0
    ticked_at: float = 0.0
    shown_at: float = 0.0
    said_away_at: float = float("-inf")
    looked_at: float = float("-inf")
    inbox: str = "$"


def serve(
    *,
    broker: str,
    results: Results,
    trust: Trust,
    stop: threading.Event,
    target_limits: Mapping[str, float] = NO_LIMITS,
    kept: Kept = KEPT,
    permitted: Permitted | None = None,
) -> None:
    """Coordinate until `stop`, believing whom `trust` names; survives the loss of Redis and of the lead.

    `target_limits`: HOST:PORT -> requests per second that all campaigns together may send there. `kept`: for
    how long results are. `permitted`: what the webhooks of game days may use of this host.
    Raises UsageError where it could only stand by without the leader's runs, OSError where it leads and
    cannot write to its own, BrokerError where this Redis will not do.
    """
    if not await_server(broker, role="coordinator", stop=stop):
        return
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    signs = trust.keys.own.id if trust.keys.own is not None else ""
    me = Coordinator(
        Store(broker),
        replace(results, keys=trust.people),
        sender(broker, trust.keys),
        rules=rules_of(VERSION, signs, embedded=results.folder is not None),
        trust=trust,
        halts=Halts(trust.people),
        turns=Turns(target_limits),
        retaining=Retaining(kept.runs_s, trust.keys),
        announcing=Announcing(permitted),
    )
    me.store.results_kept_s = kept.results_s
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
        except JournalMovedError:
            log.warning("a journal grew faster than it could be put back; the rest follows")
        except redis.RedisError as error:
            if not is_away(error):
                raise
            _say_away(me, error)
            # leases could not be renewed while it was away: judge nobody for one whole lease
            me.leading_since_s = None
            stop.wait(RETRY_S)
    try:
        take_card_back(me.store)
        me.store.release()
    except redis.RedisError:
        log.warning("the lead could not be given back; it ends by itself")


def _say_away(me: Coordinator, error: redis.RedisError) -> None:
    if time.monotonic() - me.said_away_at > SAY_AWAY_EVERY_S:
        me.said_away_at = time.monotonic()
        log.warning("nothing can be done: %s", explain(error, me.store.broker))


def _look_at_broker(me: Coordinator) -> None:
    """Say what is wrong with Redis although it answers."""
    if time.monotonic() - me.looked_at > SAY_AWAY_EVERY_S:
        me.looked_at = time.monotonic()
        trouble = broker_trouble(me.store.client.info())
        if trouble:
            log.warning("Redis at %s: %s", masked(me.store.broker), trouble)


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
    _look_at_broker(me)
    hosts = show_card(
        me.store,
        runs=me.results.runs,
        key=me.rules.key or "",
        target_limits=me.turns.limits,
        apart=me.rules.apart,
    )
    me.rules = replace(me.rules, coordinators=hosts)
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
    me.memory.forget()
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
    me.memory.doubt(me.runs)
    me.runs.clear()
    me.scheduling = Scheduling(me.trust, me.results)
    me.leading_since_s = None


def _tick(me: Coordinator) -> None:
    """One round over all live campaigns, then a short wait for news."""
    for said in me.halts.read(me.store.pressed(), now_s=me.store.now_s()):
        log.warning("%s", said)
    if me.cards_read.due(len(me.fleet)):
        me.fleet = me.store.fleet(me.store.now_s())
    me.store.confirm()
    live = me.store.campaigns()
    if me.memory.is_in_doubt(me.runs, live):
        me.runs.update(recall(me.memory, me.store))
        live = me.store.campaigns()
    shows = time.monotonic() - me.shown_at >= SHOW_EVERY_S
    for id_ in live:
        if id_ not in me.runs and me.guard.lets(id_):
            _guarded(me, id_, partial(_open, me, id_))
    rules, queued = _look_at_queue(me, live)
    for id_ in live:
        if id_ in me.runs and me.guard.lets(id_):
            step = partial(_step, me, id_, rules=rules, queued=queued.get(id_, ""), shows=shows)
            _guarded(me, id_, step)
    if shows:
        me.shown_at = time.monotonic()
        me.audit.look(me.store, me.halts, me.trust)
        me.retaining.look(me.store, me.results)
        me.scheduling.look(me.store, me.runs, me.halts)
    for known in (me.runs, me.watches, me.guard.failures, me.guard.rests):
        for id_ in known.keys() - set(live):
            del known[id_]
    took_s = time.monotonic() - me.ticked_at
    if took_s > BRIEF_S:
        time.sleep(min(took_s, TICK_S))
    me.inbox = me.store.wait(after=me.inbox, timeout_s=TICK_S)


def _look_at_queue(me: Coordinator, live: tuple[str, ...]) -> tuple[Rules, Mapping[str, str]]:
    """What is asked of workers now, and of which campaigns the turn has not come yet, with why."""
    runs = list(me.runs.values())
    rules = replace(me.rules, leads_to=me.turns.leads_to(runs)) if me.rules.apart else me.rules
    unread = [id_ for id_ in live if id_ not in me.runs]
    queued = me.turns.waits(runs, fleet=me.fleet, rules=rules, unread=unread)
    me.turns.keep_files(me.store.client, me.runs)
    return rules, queued


def _guarded(me: Coordinator, id_: str, work: Callable[[], bool]) -> None:
    """Step one campaign; what broke in the middle is opened again from its journal, as after a crash."""
    try:
        error = me.guard.step(id_, work, store=me.store, keys=me.trust.keys)
        if error is not None:
            me.runs.pop(id_, None)
            remote = me.results.remote
            me.guard.broke(id_, error, remote=remote, store=me.store, keys=me.trust.keys)
    except redis.RedisError as error:
        if not is_full(error):
            raise
        _say_away(me, error)  # the others go on, and what they let go of may be the room that is missing


def _open(me: Coordinator, id_: str) -> bool:
    """Stand where its last leader stood; how that went, its next step will tell."""
    me.runs[id_] = open_run(
        id_,
        store=me.store,
        results=me.results,
        send=me.send,
        trust=me.trust,
        halts=me.halts,
        turns=me.turns,
        announcing=me.announcing,
    )
    run = me.runs[id_]
    if run.state.accepted is None:
        why = game_day_refusal(run, me.runs.values(), now_s=me.store.now_s())
        if why:
            del me.runs[id_]
            raise RefusedError(why, by=run.submitted.by)
    run.settles_s = settles_s(me.memory, run, me.store)
    return False


def _step(me: Coordinator, id_: str, *, rules: Rules, queued: str, shows: bool) -> bool:
    """Read, decide and act once; False while results are being written: how that goes, a later step tells."""
    run = me.runs[id_]
    others = beside(one for one in me.runs.values() if one.id != id_)
    now_s = me.store.now_s()  # the step before may have taken long
    run.step(
        fleet=me.fleet,
        others=others,
        leading_since_s=me.leading_since_s or now_s,
        now_s=now_s,
        rules=rules,
        queued=queued,
    )
    if shows:
        me.store.show(id_, live_view(run, now_s, me.watches.setdefault(id_, SloWatch())))
    if run.finished:
        del me.runs[id_]  # should it be among the live ones again, it is looked at afresh
        me.memory.has_ended(run)
    return run.writing is None
