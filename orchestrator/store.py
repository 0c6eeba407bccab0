"""Redis as the coordinator sees it: the lead, journals, fleet, leases, snapshots, checkpoints.

Every write that matters is one Lua step that proves the lead first. Calls are short (1 s) and raise redis
errors; the loop around them retries.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from workers.contract import names, scripts
from workers.contract import snapshot as snap
from workers.contract.broker import client
from workers.contract.control import Order, encode_order
from workers.contract.facts import Aborting, Fact, Placed, WorkerCard, decode_fact, encode_fact
from workers.contract.trouble import is_known

SNAPSHOTS_AT_ONCE = 500
ORDERS_KEPT = 10_000
REPLICATED_WITHIN_MS = 200
KEPT = (
    names.claims,
    names.leases,
    names.results,
    names.journal,
    names.fact_ids,
    names.durable,
    names.checkpoint,
    names.specs,
)
"""Keys of a campaign that outlive it for a day; the first three are those that LEAD_FINISH changes."""
SCRIPTS = (
    "LEAD_ACQUIRE", "LEAD_RENEW", "LEAD_RELEASE", "LEAD_APPEND", "LEAD_REVOKE", "LEAD_FINISH", "CHECKPOINT",
    "FACT",
)  # fmt: skip
AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
)
"""What a call raises while Redis is gone, loading, failing over or full: nothing that a campaign has done."""

_LEASE_MS = round(names.LEADER_LEASE_S * 1000)
Shard = tuple[str, int]
"""(activity, number of the shard)."""
_CARD = msgspec.json.Decoder(WorkerCard)


def is_away(error: BaseException) -> bool:
    """Whether Redis, its settings or the way to it is at fault, and not what a campaign has done."""
    return isinstance(error, AWAY) or (isinstance(error, redis.RedisError) and is_known(error))


class NotLeadingError(Exception):
    """Another coordinator leads; whatever was about to be written was not."""


class JournalMovedError(Exception):
    """The journal has grown since it was read: read it, and decide again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact with its place in the journal."""

    id: str
    fact: Fact


class Store:
    """One coordinator's (or a watcher's) sight of Redis; `nonce` names this life of it."""

    def __init__(self, broker: str) -> None:
        # redis-py types every reply as a union of all protocols' forms
        self.client: Any = client(broker)
        self.nonce = uuid.uuid4().hex
        self.epoch = 0
        self._server = ""
        self._replicated = broker.startswith("sentinel://")
        self._scripts = {name: self.client.register_script(getattr(scripts, name)) for name in SCRIPTS}

    def now_s(self) -> float:
        """Redis TIME: the common clock."""
        seconds, micros = self.client.time()
        return float(seconds) + float(micros) / 1e6

    def run_id(self) -> str:
        """Identity of the server's process: it changes at a restart or failover."""
        return str(self.client.info("server")["run_id"])

    def flower(self) -> str:
        """Where this fleet's Flower is, as people open it; "" where none runs."""
        said = bytes(self.client.get(names.FLOWER) or b"").decode(errors="replace")
        return said if said.startswith(("http://", "https://")) else ""

    def marker(self) -> str:
        """What stands in the marker file of the leader's runs URL; "" before there was one."""
        return bytes(self.client.get(names.RUNS) or b"").decode()

    def mark(self, marker: str) -> None:
        """Say what stands in the marker file."""
        self.client.set(names.RUNS, marker)

    # the lead

    def lead(self) -> bool:
        """Take or keep the lead; False where another coordinator has it.

        A server that is another than a moment ago may lack what the old one acknowledged: a higher epoch is
        taken then, so that the journal is read again from its beginning.
        """
        server = self.run_id()
        if server != self._server:
            self.release()
            self._server = server
        if not self.renew():
            self.epoch = self._run("LEAD_ACQUIRE", [names.LEADER, names.EPOCH], [self.nonce, _LEASE_MS])
        return self.epoch > 0

    def renew(self) -> bool:
        """Keep the lead if it is still ours; any thread may."""
        return bool(self._run("LEAD_RENEW", [names.LEADER], [self.epoch, self.nonce, _LEASE_MS]) == 1)

    def release(self) -> None:
        """Give the lead back, so that a standby need not wait for the lease."""
        if self.epoch:
            self._run("LEAD_RELEASE", [names.LEADER], [self.epoch, self.nonce])
            self.epoch = 0

    def append(self, campaign: str, *, last_id: str, id_: str, fact: Fact) -> str | None:
        """Append a decision; its entry id, or None where it was said before.

        Raises NotLeadingError, or JournalMovedError where the journal is not the one that was folded.
        """
        keys = [names.LEADER, names.journal(campaign), names.fact_ids(campaign)]
        answer = self._run("LEAD_APPEND", keys, [self.epoch, self.nonce, last_id, id_, encode_fact(fact)])
        if answer == -1:
            raise NotLeadingError
        if answer == -2:
            raise JournalMovedError
        if self._replicated and isinstance(fact, Placed | Aborting):
            # a failover may forget what it acknowledged: these two others act upon
            self.client.wait(1, REPLICATED_WITHIN_MS)
        return None if answer == -3 else bytes(answer).decode()

    def revoke(self, campaign: str, attempt: str) -> None:
        """Take an attempt's lease away for good, whatever it is. Raises NotLeadingError."""
        self._revoke(campaign, attempt, "*")

    def revoke_seen(self, campaign: str, attempt: str, *, renewed_s: float | None) -> bool:
        """Take a lease away for good if it was not renewed (None: not claimed) since it was seen.

        False where it was. Raises NotLeadingError.
        """
        return self._revoke(campaign, attempt, "" if renewed_s is None else str(round(renewed_s * 1000)))

    def _revoke(self, campaign: str, attempt: str, seen: str) -> bool:
        keys = [names.LEADER, names.leases(campaign), names.claims(campaign)]
        answer = self._run("LEAD_REVOKE", keys, [self.epoch, self.nonce, attempt, seen])
        if answer == -1:
            raise NotLeadingError
        return bool(answer == 1)

    def say(self, campaign: str, *, id_: str, fact: Fact) -> bool:
        """Append a person's fact; False where it was said before."""
        # a person's Redis user may not touch claims, and the script does not look at them then
        keys = [names.journal(campaign), names.fact_ids(campaign), names.INBOX, names.INBOX]
        return bool(self._run("FACT", keys, [id_, encode_fact(fact), "", "", campaign]) == 1)

    # what there is to read

    def campaigns(self) -> tuple[str, ...]:
        """Ids of live campaigns, the oldest first."""
        return tuple(id_.decode() for id_ in self.client.zrange(names.CAMPAIGNS, 0, -1))

    def journal(self, campaign: str, *, after: str = "0-0") -> list[Entry]:
        """Facts after an entry id, in order."""
        entries = self.client.xrange(names.journal(campaign), min=f"({after}")
        return [Entry(id_.decode(), decode_fact(fields[b"f"])) for id_, fields in entries]

    def journal_end(self, campaign: str) -> str:
        """The newest id of a journal, be it readable or not; "0-0" for an empty one."""
        return self._newest(names.journal(campaign)) or "0-0"

    def wait(self, *, after: str, timeout_s: float) -> str:
        """Block until a worker or a person said something, or the time is over.

        The inbox id to wait after next.
        """
        found = self.client.xread({names.INBOX: after}, count=1000, block=max(1, round(timeout_s * 1000)))
        return found[0][1][-1][0].decode() if found else after

    def pressed(self) -> dict[bytes, bytes]:
        """The red button's hash: the last halt and resume, as `Halts.read` takes them."""
        found: dict[bytes, bytes] = self.client.hgetall(names.HALT)
        return found

    def is_finished(self, campaign: str) -> bool:
        """Whether a campaign of this id has ended."""
        return self.client.zscore(names.FINISHED, campaign) is not None

    def inbox_end(self) -> str:
        """The newest id of the inbox."""
        return self._newest(names.INBOX) or "0-0"

    def _newest(self, stream: str) -> str:
        last = self.client.xrevrange(stream, count=1)
        return last[0][0].decode() if last else ""

    def is_led(self) -> bool:
        """Whether a coordinator leads now."""
        return bool(self.client.exists(names.LEADER))

    def cards(self) -> tuple[WorkerCard, ...]:
        """All cards of workers that this version can read, those of the dead too, by name."""
        found: list[WorkerCard] = []
        for body in self.client.hvals(names.WORKERS):
            with suppress(msgspec.DecodeError):  # one of another version must not stop all the others
                found.append(_CARD.decode(body))
        return tuple(sorted(found, key=lambda card: card.worker))

    def unreadable_cards(self) -> tuple[str, ...]:
        """Names of workers whose cards this version cannot read."""
        named = {name.decode(errors="replace") for name in self.client.hkeys(names.WORKERS)}
        return tuple(sorted(named - {card.worker for card in self.cards()}))

    def fleet(self, now_s: float) -> tuple[WorkerCard, ...]:
        """Cards of the workers that are alive, by name."""
        return tuple(card for card in self.cards() if now_s - card.seen_s < names.CARD_S)

    def leases(self, campaign: str) -> dict[str, float]:
        """Attempt -> common time of its last renewal."""
        found = self.client.hgetall(names.leases(campaign))
        return {attempt.decode(): float(at_ms) / 1000 for attempt, at_ms in found.items()}

    # what the coordinator gives

    def put_spec(self, campaign: str, sha256: str, body: bytes) -> None:
        """Store an activity's spec, for its shards to fetch."""
        self.client.hset(names.specs(campaign), sha256, body)

    def order(self, worker: str, order: Order) -> None:
        """Give an order to a worker."""
        self.client.xadd(
            names.control(worker), {"o": encode_order(order)}, maxlen=ORDERS_KEPT, approximate=True
        )

    def snapshots(self, campaign: str, after: Mapping[Shard, str]) -> Iterator[tuple[Shard, str, bytes]]:
        """New snapshots of shards: (shard, entry id, body), in order within a shard."""
        if not after:
            return
        keys = {names.snapshots(campaign, *shard): shard for shard in after}
        found = self.client.xread({key: after[shard] for key, shard in keys.items()}, count=SNAPSHOTS_AT_ONCE)
        for key, entries in found:
            shard = keys[key.decode()]
            for id_, fields in entries:
                yield shard, id_.decode(), fields[b"s"]

    def checkpoint(
        self,
        campaign: str,
        *,
        totals: bytes,
        part: str,
        seqs: Mapping[str, int],
        trim: Iterable[tuple[Shard, str]],
    ) -> None:
        """Store the watermark in one fenced step, and only then trim the streams up to it.

        Raises NotLeadingError.
        """
        pairs: list[Any] = [value for item in seqs.items() for value in item]
        keys = [names.LEADER, names.checkpoint(campaign), names.durable(campaign)]
        if self._run("CHECKPOINT", keys, [self.epoch, self.nonce, totals, part, *pairs]) == -1:
            raise NotLeadingError
        pipe = self.client.pipeline(transaction=False)
        for shard, id_ in trim:
            number, seq = id_.split("-")
            pipe.xtrim(names.snapshots(campaign, *shard), minid=f"{number}-{int(seq) + 1}", approximate=False)
        pipe.execute()

    def parts(self, campaign: str) -> tuple[str, ...]:
        """Names of the parts that checkpoints hold, in order."""
        found = self.client.hgetall(names.checkpoint(campaign))
        named = [(int(place), key[5:].decode()) for key, place in found.items() if key.startswith(b"part:")]
        return tuple(name for _, name in sorted(named))

    def show(self, campaign: str, live: bytes) -> None:
        """Publish the state for those who watch."""
        self.client.set(names.live(campaign), live, ex=round(names.RESULTS_KEPT_S))

    def finish(
        self, campaign: str, *, at_s: float, results: Mapping[str, bytes], shards: Iterable[Shard] = ()
    ) -> None:
        """Move an ended campaign out of the live ones, in one fenced step.

        What is left of it expires by itself; its attempts, should any still work, lose their leases.
        Raises NotLeadingError.
        """
        keys = [names.LEADER, names.CAMPAIGNS, names.FINISHED]
        keys += [key(campaign) for key in KEPT]
        keys += [names.snapshots(campaign, *shard) for shard in shards]
        files = [value for item in results.items() for value in item]
        args = [self.epoch, self.nonce, campaign, at_s, round(names.RESULTS_KEPT_S), *files]
        if self._run("LEAD_FINISH", keys, args) == -1:
            raise NotLeadingError

    def _run(self, name: str, keys: list[str], args: list[Any]) -> Any:
        return self._scripts[name](keys=keys, args=args)


def decode_snapshot(body: bytes) -> snap.Snapshot:
    """Read a snapshot off the wire."""
    return snap.decode(body)
