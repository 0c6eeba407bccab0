"""Redis as a worker sees it: claims, specs, and the way out for facts and snapshots.

Every client here gives up after about a second and the loops try again, so a hanging Redis stops nothing but
the news. Leases and the card are renewed in workers/fleet/leases.py, orders read in workers/fleet/orders.py.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

import redis
from redis.exceptions import RedisError

from workers.clock import CommonClock
from workers.contract.broker import connection, names, scripts
from workers.contract.broker.trouble import explain
from workers.contract.errors import ContractError, DrainingError
from workers.contract.facts import (
    AlertSeen,
    Claimed,
    Draining,
    Exited,
    FaultSeen,
    Gauged,
    NotReady,
    Ready,
    Silenced,
    TaskRefused,
    Yielded,
    encode_fact,
)
from workers.contract.signed.signing import Keys
from workers.contract.signed.trust import seal_snapshot, sign_observation
from workers.contract.spec import ShardTask
from workers.fleet.outbox import Item, Outbox, Settled
from workers.fleet.way import Way
from workers.settings import Settings

WorkersFact = (
    Claimed | NotReady | Ready | Draining | Yielded | Exited | FaultSeen | AlertSeen | Gauged | Silenced
)
AWAY = (RedisError, OSError)
"""What a call raises while Redis is away, loading, read-only or failing over."""

AGAIN_AFTER_S = 0.2
"""Between two tries while Redis is away: soon enough to be back within a lease."""
FETCH_WITHIN_S = 20.0
"""How long a spec is asked for while Redis is away; a phase is placed within 60 s by default."""
DURABLE_EVERY_S = 2.0
MOST_REFUSALS = 20
"""Refused tasks that one life of a worker tells a campaign of: who sends many bad ones fills no journal."""
FLUSH_WITHIN_S = 5.0
"""At the end of the process: how long what is unsent may take."""
SAY_AWAY_EVERY_S = 10.0
_REPLICATED_WITHIN_MS = 200

log = logging.getLogger(__name__)


class Link:
    """One worker's connection to its fleet; methods may be called from any thread.

    `delivered` is told of each fact and snapshot that Redis has taken, or refused for good. `moves`: how
    often the renewing thread found another server; the others' connections may still lead to the old one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        incarnation: str,
        clock: CommonClock,
        delivered: Callable[[Item], None] = lambda _: None,
    ) -> None:
        self.settings, self.incarnation, self.clock = settings, incarnation, clock
        self._delivered = delivered
        self.outbox = Outbox()
        self._client = connection.client(settings.broker)
        self._used: set[tuple[str, str]] = set()
        self._keys: dict[str, Keys] = {}
        self._said: Counter[tuple[str, str, str]] = Counter()
        self._refusals: Counter[str] = Counter()
        self._settled = Settled()
        self.moves = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sender = threading.Thread(target=self._send_all, name="link-send", daemon=True)

    @property
    def replicated(self) -> bool:
        """Whether a failover may forget what was acknowledged."""
        return self.settings.broker.startswith("sentinel://")

    def open_client(self) -> redis.Redis:
        """A client for one thread's own use."""
        return connection.client(self.settings.broker)

    def explained(self, error: BaseException) -> str:
        """What Redis's answer means, for a log."""
        return explain(error, self.settings.broker)

    def start(self) -> None:
        """Begin to send."""
        self._sender.start()

    def close(self) -> None:
        """Send what is unsent, within bounds, and stop."""
        if not self.outbox.wait_empty(FLUSH_WITHIN_S):
            log.warning("Redis is away: facts or snapshots of this worker were not delivered")
        self._closing.set()
        self._sender.join(FLUSH_WITHIN_S)

    def claim(self, task: ShardTask, *, stop: threading.Event) -> bool:
        """Take an attempt, once in this life however often its task comes; False: not for us to run.

        Where Redis is away it is tried again for as long as the task counts, or until `stop`.
        """
        key = (task.campaign, task.attempt)
        with self._lock:
            if task.incarnation != self.incarnation or key in self._used:
                return False
            self._used.add(key)
            self._keys[task.campaign] = self.settings.keys.preferring(task.signature)
        while True:
            try:
                held = self.claim_call(self._client, *key, expires_s=task.expires_s)
            except AWAY as error:
                late = self.clock.now() > task.expires_s + names.FENCE_MARGIN_S
                if late or stop.wait(AGAIN_AFTER_S):
                    log.warning(
                        "attempt %s of %s could not be claimed: %s",
                        task.attempt,
                        task.campaign,
                        self.explained(error),
                    )
                    return False
            else:
                return held

    def claim_call(self, client: redis.Redis, campaign: str, attempt: str, *, expires_s: float) -> bool:
        """One call of the claim script; `expires_s` 0 claims again after a failover. Raises `AWAY`."""
        keys = [names.claims(campaign), names.leases(campaign)]
        arguments = [attempt, self.incarnation, str(round(expires_s * 1000))]
        held = bool(client.eval(scripts.CLAIM, len(keys), *keys, *arguments) == 1)
        if held and expires_s and self.replicated:
            client.wait(1, _REPLICATED_WITHIN_MS)
        return held

    def fate(self, campaign: str) -> Literal["live", "over", "unknown"]:
        """What Redis says of a campaign; unknown: not even that it has ended. Raises `AWAY`."""
        if self._client.zscore(names.CAMPAIGNS, campaign) is not None:
            return "live"
        return "over" if self._client.hexists(names.claims(campaign), names.CLOSED) else "unknown"

    def spec(self, task: ShardTask, *, stop: threading.Event) -> bytes:
        """The activity's spec as stored.

        Raises ContractError where it is not there or Redis stays away, DrainingError at `stop`.
        """
        until_s = time.monotonic() + FETCH_WITHIN_S
        while True:
            try:
                body = self._client.hget(names.specs(task.campaign), task.spec_sha256)
            except AWAY as error:
                if time.monotonic() > until_s:
                    raise ContractError(
                        f"the spec of {task.attempt} could not be fetched: {self.explained(error)}"
                    ) from error
                if stop.wait(AGAIN_AFTER_S):
                    raise DrainingError from error
                continue
            if not isinstance(body, bytes):
                raise ContractError(f"the spec {task.spec_sha256} of {task.attempt} is not in Redis")
            return body

    def say(self, campaign: str, fact: WorkersFact) -> None:
        """Queue a fact for the journal; it arrives once, after all that was queued before it."""
        what = str(fact.__struct_config__.tag)
        with self._lock:
            self._said[campaign, fact.attempt, what] += 1
            number = self._said[campaign, fact.attempt, what]
        identity = f"{fact.attempt}:{what}:{number}"
        body = encode_fact(sign_observation(fact, campaign=campaign, keys=self._answering(campaign)))
        self.outbox.put(Item(campaign, fact.attempt, names.journal(campaign), identity, 0, body))

    def say_refused(self, campaign: str, fact: TaskRefused) -> None:
        """Tell a campaign that lives of a task that was not believed; while Redis is away nobody is told."""
        try:
            if self._client.zscore(names.CAMPAIGNS, campaign) is None:
                return
        except AWAY as error:
            log.info("not told to %s: %s", campaign, self.explained(error))
            return
        with self._lock:
            self._refusals[campaign] += 1
            number = self._refusals[campaign]
        if number <= MOST_REFUSALS:
            identity = f"{fact.worker}:{self.incarnation}:refused:{number}"
            signed = sign_observation(fact, campaign=campaign, keys=self._answering(campaign))
            # of no attempt: who has not claimed it may say nothing of it
            self.outbox.put(Item(campaign, "", names.journal(campaign), identity, 0, encode_fact(signed)))

    def snapshot(self, task: ShardTask, *, seq: int, body: bytes) -> None:
        """Queue one snapshot for the attempt's stream."""
        stream = names.snapshots(task.campaign, task.activity, task.shard, task.number)
        self.outbox.put(Item(task.campaign, task.attempt, stream, f"{task.number}-{seq}", seq, body))

    def _answering(self, campaign: str) -> Keys:
        """The key that signed a campaign's tasks first: its coordinator may not know a newer one yet."""
        return self._keys.get(campaign, self.settings.keys)

    def _send_all(self) -> None:
        durable_at_s = said_at_s = 0.0
        way = Way(self.settings.broker, changed=self._begin_again)
        moves = self.moves
        while not self._closing.is_set():
            self.outbox.wait(AGAIN_AFTER_S)
            if moves != self.moves:
                moves = self.moves
                way.leave()
            try:
                way.look()
                item = self.outbox.first()  # to another server all goes again
                if item is not None:
                    self._send(way.client, item)
                    self.outbox.sent(item)
                    self._delivered(item)
                if time.monotonic() - durable_at_s > DURABLE_EVERY_S:
                    durable_at_s = time.monotonic()
                    self._settled.look(self.outbox, way.client)
            except AWAY as error:
                way.lost()
                if time.monotonic() - said_at_s > SAY_AWAY_EVERY_S:
                    said_at_s = time.monotonic()
                    log.warning("facts and snapshots are kept: %s", self.explained(error))
                self._closing.wait(AGAIN_AFTER_S)

    def _begin_again(self, client: redis.Redis) -> None:
        """Another server may lack what the old one acknowledged: claim, and send everything kept again."""
        for campaign, attempts in self.outbox.attempts().items():
            for attempt in filter(None, attempts):
                self.claim_call(client, campaign, attempt, expires_s=0)
            if client.zscore(names.CAMPAIGNS, campaign) is None:  # nobody may ever end it there
                for key in (names.claims(campaign), names.leases(campaign)):
                    client.expire(key, round(names.RESULTS_KEPT_S))
        self._settled = Settled()
        self.outbox.send_again()
        log.warning("Redis is another server now: all that no checkpoint is sure to hold is sent again")

    def _send(self, client: redis.Redis, item: Item) -> None:
        claims = names.claims(item.campaign)
        if item.seq:
            keys = (item.stream, claims)
            body = seal_snapshot(
                item.body, stream=item.stream, id_=item.id, keys=self._answering(item.campaign)
            )
            words = (item.attempt, self.incarnation, item.id, body)
            answer = client.eval(scripts.SNAPSHOT, 2, *keys, *words)
        else:
            places = (item.stream, names.fact_ids(item.campaign), claims, names.INBOX)
            said = (item.id, item.body, item.attempt, self.incarnation, item.campaign)
            answer = client.eval(scripts.FACT, 4, *places, *said)
        if answer == -1:
            log.info("%s of %s was refused: the attempt is no longer ours", item.id, item.campaign)
