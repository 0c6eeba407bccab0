"""A worker: takes tasks, renews leases, hears orders, says what it has to say; and its next life.

It keeps to workers/fleet/leases.py, workers/link.py, workers/fleet/orders.py and workers/attempts/former.py.
"""

from collections import Counter, defaultdict

import msgspec
import redis
from simulated.attempt import Attempt, claim_words
from simulated.engine import cells_of, encode, snapshot_of
from simulated.server import Client
from simulated.world import Bell, Process, sleep

from orchestrator.coordinator.cards import VERSION
from workers.contract import control
from workers.contract import facts as f
from workers.contract import snapshot as snapshots
from workers.contract.broker import names, scripts
from workers.contract.proxies import ProxyShown
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import NO_KEYS
from workers.contract.spec import ShardTask
from workers.fleet.outbox import Item, Outbox, Settled
from workers.fleet.renewals import Renewals
from workers.fleet.way import Way

AGAIN_S = 0.2
LISTENS_EVERY_S = 1.5
"""How late news is at most of which nobody has told; otherwise it comes at once."""
DURABLE_EVERY_S = 2.0
FORMER_WITHIN_S = 10.0


class Worker(Process):
    """One life of a worker. `error_s`: how wrong its measured clock is; `register`: what its disk knows."""

    def __init__(self, fleet, host, name, *, slots, life, register):
        super().__init__(fleet.world, name, host)
        self.fleet, self.slots, self.register = fleet, slots, register
        self.incarnation = f"{name}-{life}"
        self.client = Client(fleet.network)
        self.halts = Halts(NO_KEYS)
        self.draining = False
        self.server = ""
        self.reached_s = None
        self.offset_s = 0.0
        self.held = {}
        self.used = set()
        self.attempts = {}
        self.early = {}
        self.proxies = {}
        self.said = Counter()
        self.outbox, self.settled = Outbox(), Settled()
        self.renewals = Renewals(name, replicated=fleet.replicated)
        self.lease_bell, self.out_bell, self.in_bell = Bell(), Bell(), Bell()
        self.card_s = self.measured_s = float("-inf")
        self._measure()
        self.spawn(self._begin)

    # clock

    def common_s(self):
        """Common time, as it believes."""
        return self.host.mono_s() + self.offset_s

    def _measure(self):
        """Its offset to the server's clock, wrong by no more than half a round trip could make it."""
        true = self.fleet.server.now_s() - self.host.mono_s()
        self.error_s = self.world.dice.uniform(-1.0, 1.0) * self.fleet.uncertainty_s
        self.offset_s = true + self.error_s
        self.measured_s = self.host.mono_s()

    # life

    def _begin(self):
        self._tell_of_former_lives()
        while not self._round_ok():
            sleep(5 * AGAIN_S)
        self.register.setdefault(self.incarnation, {})
        for do in (self._renew_for_ever, self._send_for_ever, self._listen_for_ever):
            self.spawn(do)

    def _round_ok(self):
        try:
            self.server = self.client.info("server")["run_id"]
            return self._show_card()
        except redis.RedisError:
            return False

    def kill(self):
        """SIGKILL: its engines die with it, by their parent-death signal."""
        engines = [attempt.engine for attempt in self.attempts.values() if attempt.engine is not None]
        super().kill()
        for engine in engines:
            self.world.after(0.005, engine.kill)

    def drain(self):
        """SIGTERM."""
        if not self.draining:
            self.draining = True
            self.card_s = float("-inf")
            self.lease_bell.ring()
            for attempt in list(self.held.values()):
                attempt.drain()
            self.soon(0.5, self._leave)

    def _leave(self):
        """End once nothing runs and all is said."""
        busy = self.held or self.outbox.first() is not None
        if busy:
            self.soon(0.5, self._leave)
        else:
            self.world.tell(self.name, "has drained and ends")
            self.kill()

    # attempts

    def engines_begun(self, attempt):
        """An engine works at an attempt from now on: its disk knows, and its slots are counted."""
        self.attempts[attempt.key] = attempt
        self.register.setdefault(self.incarnation, {})[attempt.key] = attempt

    def hold(self, attempt):
        """Renew its lease from now on, and hand it its orders."""
        self.held[attempt.key] = attempt
        self.lease_bell.ring()
        for order in self.early.pop(attempt.key, []):
            attempt.ordered(order)

    def release(self, attempt):
        """It is over."""
        self.held.pop(attempt.key, None)

    def claim_call(self, client, key, *, expires_s):
        """The claim, and WAIT where a failover may forget it."""
        script, keys, args = claim_words(key, self.incarnation, expires_s)
        held = client.eval(script, len(keys), *keys, *args) == 1
        if held and expires_s and self.fleet.replicated:
            client.wait(1, 200)
        return held

    # leases

    def _renew_for_ever(self):
        pause_s = 0.0
        while True:
            if pause_s > 0:
                self.lease_bell.wait(pause_s)
            began = self.host.mono_s()
            pause_s = AGAIN_S
            try:
                self._round()
                pause_s = max(0.01, began + names.LEASE_EVERY_S - self.host.mono_s())
            except redis.RedisError:
                pass

    def _round(self):
        by_campaign = {}
        for attempt in self.held.values():
            by_campaign.setdefault(attempt.task.campaign, []).append(attempt)
        began_mono = self.host.mono_s()
        names_of = {campaign: [one.task.attempt for one in group] for campaign, group in by_campaign.items()}
        found = self.renewals.renew(self.client, names_of)
        if found.info["run_id"] != self.server:
            self._claim_again([one for group in by_campaign.values() for one in group])
            self.server = found.info["run_id"]
            return
        if self.host.mono_s() - self.measured_s > 10.0:
            self._measure()
        self.halts.read(found.pressed, now_s=self.common_s())
        halted = self.halts.halted()
        self.reached_s = self.world.now_s
        for campaign, group in by_campaign.items():
            for attempt, answer in zip(group, found.answers[campaign], strict=True):
                self._told(attempt, answer, began_mono, halted)
        if self.host.mono_s() - self.card_s >= names.CARD_EVERY_S and not self._show_card():
            self.drain()  # superseded

    def _told(self, attempt, answer, began_mono, halted):
        if halted is not None:
            attempt.halt(halted.words())
        elif answer == -1:
            attempt.halt("the coordinator gave this attempt up")
        elif answer > 0:
            attempt.authorised(began_mono + attempt.fence_s)

    def _claim_again(self, held):
        self._measure()
        for attempt in held:
            if not self.claim_call(self.client, attempt.key, expires_s=0):
                attempt.halt("the coordinator gave this attempt up")

    def _show_card(self):
        card = f.WorkerCard(
            self.name, self.incarnation, self.host.name, VERSION, self.slots, draining=self.draining,
            seen_s=self.common_s(), uncertainty_s=self.fleet.uncertainty_s,
            proxies=tuple(self.proxies.values()),
        )  # fmt: skip
        body = msgspec.json.encode(card)
        lives = str(round(names.CARD_S * 1000))
        answer = self.client.eval(scripts.CARD, 1, names.WORKERS, self.name, self.incarnation, body, lives)
        self.card_s = self.host.mono_s()
        return answer == 1

    # what it has to say

    def say(self, campaign, fact):
        """Queue a fact; it arrives once, after all that was queued before it."""
        what = str(fact.__struct_config__.tag)
        self.said[campaign, fact.attempt, what] += 1
        identity = f"{fact.attempt}:{what}:{self.said[campaign, fact.attempt, what]}"
        self._put(Item(campaign, fact.attempt, names.journal(campaign), identity, 0, f.encode_fact(fact)))

    def outbox_put(self, task, seq, body):
        """Queue a snapshot."""
        stream = names.snapshots(task.campaign, task.activity, task.shard, task.number)
        self._put(Item(task.campaign, task.attempt, stream, f"{task.number}-{seq}", seq, body))

    def _put(self, item):
        self.outbox.put(item)
        self.out_bell.ring()

    def _send_for_ever(self):
        durable_s = 0.0
        way = Way("sim", changed=self._begin_again)
        while True:
            try:
                way.look()
                item = self.outbox.first()
                if item is not None:
                    self._send(way.client, item)
                    self.outbox.sent(item)
                    self._delivered(item)
                if self.world.now_s - durable_s > DURABLE_EVERY_S:
                    durable_s = self.world.now_s
                    self.settled.look(self.outbox, way.client)
                if self.outbox.first() is None:
                    self.out_bell.wait(DURABLE_EVERY_S)
            except redis.RedisError:
                way.lost()
                sleep(AGAIN_S)

    def _begin_again(self, client):
        for campaign, attempts in self.outbox.attempts().items():
            for attempt in filter(None, attempts):
                self.claim_call(client, (campaign, attempt), expires_s=0)
            if client.zscore(names.CAMPAIGNS, campaign) is None:
                for key in (names.claims(campaign), names.leases(campaign)):
                    client.expire(key, round(names.RESULTS_KEPT_S))
        self.settled = Settled()
        self.outbox.send_again()

    def _send(self, client, item):
        claims = names.claims(item.campaign)
        if item.seq:
            words = (item.attempt, self.incarnation, item.id, item.body)
            client.eval(scripts.SNAPSHOT, 2, item.stream, claims, *words)
        else:
            places = (item.stream, names.fact_ids(item.campaign), claims, names.INBOX)
            words = (item.id, item.body, item.attempt, self.incarnation, item.campaign)
            client.eval(scripts.FACT, 4, *places, *words)

    def _delivered(self, item):
        entry = self.register.get(self.incarnation, {})
        attempt = entry.get((item.campaign, item.attempt))
        if attempt is None:
            return
        if not item.seq:
            if ":exited:" in item.id:
                del entry[item.campaign, item.attempt]
        else:
            attempt.written = max(getattr(attempt, "written", 0), item.seq)

    # tasks and orders

    def news(self):
        """Something has come for it."""
        self.in_bell.ring()

    def _listen_for_ever(self):
        queue, orders = names.queue(self.name), names.control(self.name)
        while True:
            try:
                pipe = self.client.pipeline()
                pipe.xread({orders: "0"}, count=100)
                pipe.lpop(queue)
                found, body = pipe.execute()
                entries = found[0][1] if found else []
                if body is not None:
                    self._take_task(msgspec.json.decode(body, type=ShardTask))
                for _, fields in entries:
                    self._deliver(control.decode_order(fields[b"o"]))
                if entries:
                    self.client.xdel(orders, *[id_ for id_, _ in entries])
                if body is None and not entries:
                    self.in_bell.wait(LISTENS_EVERY_S)
            except redis.RedisError:
                sleep(AGAIN_S)

    def _take_task(self, task):
        attempt = Attempt(self, task)
        self.attempts.setdefault(attempt.key, attempt)
        self.spawn(attempt.run)

    def _deliver(self, order):
        if isinstance(order, control.Stand):
            self._stand(order)
            return
        key = (order.campaign, order.attempt)
        attempt = self.held.get(key)
        if attempt is not None:
            attempt.ordered(order)
        else:
            early = self.early.setdefault(key, [])
            if order not in early:
                early.append(order)

    def _stand(self, order):
        """Its proxies stand as long as it lives; the card says so."""
        if order.incarnation != self.incarnation:
            return
        for want in order.proxies:
            given = (want.port, want.upstream, want.bind, want.speaks)
            self.proxies[want.port] = ProxyShown(*given, campaign=order.campaign)
        self.card_s = float("-inf")
        self.lease_bell.ring()

    # its former lives

    def _tell_of_former_lives(self):
        until_s = self.world.now_s + FORMER_WITHIN_S
        for incarnation in list(self.register):
            while incarnation != self.incarnation:
                try:
                    for attempt in list(self.register[incarnation].values()):
                        self._witness(attempt, incarnation)
                    self.client.eval(scripts.CARD_GONE, 1, names.WORKERS, self.name, incarnation)
                    del self.register[incarnation]
                    break
                except redis.RedisError:
                    if self.world.now_s > until_s:
                        return
                    sleep(AGAIN_S)

    def _witness(self, attempt, incarnation):
        """Its engine is gone, for certain: say so in the former life's name."""
        engine, task = attempt.engine, attempt.task
        engine.kill()
        now_s = self.common_s()
        exited = f.Exited(
            at_s=now_s, attempt=task.attempt, outcome="died", why="found gone", silent_s=now_s,
            known=False,
        )  # fmt: skip
        seq, told = self._reported(attempt) if engine.start_mono is not None else (None, {})
        if seq is not None:
            closing = snapshot_of(
                task, seq=seq + 1, at_s=now_s, engine=engine, cells=cells_of(engine.left(told))
            )
            closing.in_flight, closing.sent, closing.final = [], 0, True
            stream = names.snapshots(task.campaign, task.activity, task.shard, task.number)
            words = (task.attempt, incarnation, f"{task.number}-{seq + 1}", encode(closing))
            answer = self.client.eval(scripts.SNAPSHOT, 2, stream, names.claims(task.campaign), *words)
            if answer == 1:
                exited = msgspec.structs.replace(
                    exited, dispatched=engine.dispatched, last_seq=seq + 1, known=True
                )
        places = (
            names.journal(task.campaign), names.fact_ids(task.campaign), names.claims(task.campaign),
            names.INBOX,
        )  # fmt: skip
        words = (f"{task.attempt}:exited:1", f.encode_fact(exited), task.attempt, incarnation, task.campaign)
        self.client.eval(scripts.FACT, 4, *places, *words)

    def _reported(self, attempt):
        """Number and sum of its snapshots that Redis has got; None where that cannot be told."""
        task = attempt.task
        stream = names.snapshots(task.campaign, task.activity, task.shard, task.number)
        number = last = 0
        if self.client.exists(stream):
            newest = self.client.xinfo_stream(stream)["last-generated-id"]
            number, last = (int(part) for part in newest.split(b"-"))
        seq = last if number == task.number else 0
        written = getattr(attempt, "written", 0)
        told = defaultdict(Counter)
        if number > task.number or seq < written:
            return None, told
        for known in range(1, written + 1):
            for second, count in attempt.engine.seqs[known].items():
                told[second] += count
        for missing in range(written + 1, seq + 1):
            found = self.client.xrange(stream, f"{number}-{missing}", f"{number}-{missing}")
            if not found:
                return None, told
            for cell in snapshots.decode(found[0][1][b"s"]).cells:
                told[cell.second].update(cell.outcomes)
        return seq, told
