"""Redis as the coordinator sees it: the lead, journals, fleet, leases, snapshots, checkpoints.

Every write that matters is one Lua step that proves the lead first. Calls are short (1 s) and raise redis
errors; the loop around them retries.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import redis

from orchestrator.store.confirmed import ACTED_UPON, confirm
from orchestrator.store.entries import Entry, JournalMovedError, NotLeadingError, SaidBeforeError, read_entry
from orchestrator.store.server_life import began_by_s
from orchestrator.store.snapshot_streams import Stream, read_streams, trim_streams
from workers.contract.broker import names, scripts
from workers.contract.broker.connection import client
from workers.contract.broker.trouble import is_known
from workers.contract.control import Order, encode_order
from workers.contract.decoding import guarded, texts
from workers.contract.facts import Fact, WorkerCard, encode_fact

__all__ = [
    "AWAY", "FACTS_AT_ONCE", "Entry", "JournalMovedError", "NotLeadingError", "SaidBeforeError", "Shard",
    "Store", "Stream", "is_away",
]  # fmt: skip
FACTS_AT_ONCE = 500
"""A step of so many takes the server some 3 ms, and nobody else is served meanwhile."""
PIECE_BYTES = 1024 * 1024
"""A call has a second: 1 MiB is through in time over any line that a fleet may have."""
ORDERS_KEPT = 10_000
ORDERS_LAST_S = 24 * 3600
"""Since the last order to a worker: names come and go where workers are started by the hundred."""
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
    "LEAD_ACQUIRE", "LEAD_RENEW", "LEAD_RELEASE", "LEAD_RESTORE", "LEAD_APPEND", "LEAD_REVOKE",
    "LEAD_STORE", "LEAD_FINISH", "LEAD_ORDER", "CHECKPOINT", "FACT", "AUDIT",
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
_card = guarded(msgspec.json.Decoder(WorkerCard).decode)


def is_away(error: BaseException) -> bool:
    """Whether Redis, its settings or the way to it is at fault, and not what a campaign has done."""
    return isinstance(error, AWAY) or (isinstance(error, redis.RedisError) and is_known(error))


class Store:
    """One coordinator's (or a watcher's) sight of Redis; `nonce` names this life of it."""

    def __init__(self, broker: str) -> None:
        # redis-py types every reply as a union of all protocols' forms
        self.client: Any = client(broker)
        self.broker = broker
        self.nonce = uuid.uuid4().hex
        self.epoch = 0
        self.results_kept_s: float = names.RESULTS_KEPT_S
        self.server_since_s = 0.0
        self.server_began_s = 0.0
        self._server = ""
        self._highest = 0
        self._replicated = broker.startswith("sentinel://")
        self._unconfirmed = False
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
        return bytes(self.client.get(names.RUNS) or b"").decode(errors="replace")

    def mark(self, marker: str) -> None:
        """Say what stands in the marker file."""
        self.client.set(names.RUNS, marker)

    # the lead

    def lead(self) -> bool:
        """Take or keep the lead; False where another coordinator has it.

        A server that is another than a moment ago may lack what the old one acknowledged: a higher epoch is
        taken then, so that the journal is read again from its beginning. `server_since_s`: since when it is
        certain that leases are renewed here; what was renewed before may have been forgotten.
        `server_began_s`: as `began_by_s`; 0 behind Sentinel, where a replica has what is acted upon.
        """
        # a primary that was cut off would judge workers that have left it
        self._unconfirmed = self._replicated
        server = self.run_id()
        if server != self._server:
            self.release()
            self._server = server
            # behind Sentinel the old primary may go on until its own leader's lease is over
            margin_s = names.LEADER_LEASE_S if self._replicated else 0.0
            self.server_since_s = self.now_s() + margin_s
            if not self._replicated:
                self.server_began_s = began_by_s(self.client)
        if not self.renew():
            args = [self.nonce, _LEASE_MS, self._highest]
            self.epoch = self._run("LEAD_ACQUIRE", [names.LEADER, names.EPOCH], args)
            self._highest = max(self._highest, self.epoch)
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
        try:
            (entry,) = self.append_all(campaign, last_id=last_id, facts=((id_, fact),))
        except SaidBeforeError:
            return None
        return entry

    def append_all(
        self, campaign: str, *, last_id: str, facts: Sequence[tuple[str, Fact]]
    ) -> tuple[str, ...]:
        """Append decisions, each with its id, in one step, all of them or none; their entry ids.

        At most FACTS_AT_ONCE. Raises NotLeadingError, SaidBeforeError, or JournalMovedError where the journal
        is not the one that was folded.
        """
        keys = [names.LEADER, names.journal(campaign), names.fact_ids(campaign)]
        said: list[Any] = [word for id_, fact in facts for word in (id_, encode_fact(fact))]
        answer = self._run("LEAD_APPEND", keys, [self.epoch, self.nonce, last_id, *said])
        if answer == -1:
            raise NotLeadingError
        if answer == -2:
            raise JournalMovedError
        if answer and answer[0] == -3:
            raise SaidBeforeError(frozenset(id_.decode() for id_ in answer[1:]))
        if self._replicated and any(isinstance(fact, ACTED_UPON) for _, fact in facts):
            self._unconfirmed = True
            self.confirm()
        return tuple(entry.decode() for entry in answer)

    def confirm(self) -> None:
        """Make sure that no failover forgets what was decided. Raises UnconfirmedError where one could."""
        if self._unconfirmed:
            confirm(self.client)
            self._unconfirmed = False

    def restore(self, campaign: str, *, last_id: str, entries: Sequence[tuple[str, Entry]]) -> str:
        """Write again what was lost of a journal, each with its fact's id or ""; the end's entry id.

        At most FACTS_AT_ONCE. Raises NotLeadingError, JournalMovedError.
        """
        keys = [names.LEADER, names.journal(campaign), names.fact_ids(campaign)]
        said: list[Any] = [word for id_, one in entries for word in (one.id, id_, encode_fact(one.fact))]
        answer = self._run("LEAD_RESTORE", keys, [self.epoch, self.nonce, last_id, *said])
        if answer == -1:
            raise NotLeadingError
        if answer == -2:
            raise JournalMovedError
        return bytes(answer).decode()

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

    def audit(self, id_: str, body: bytes, *, at_s: float, most: int) -> bool:
        """Keep an entry of what somebody did, once; False: it was kept before. Raises NotLeadingError."""
        return self._keep_once((names.AUDIT, names.AUDIT_IDS), id_, body, at_s=at_s, most=most)

    def keep_outcome(self, id_: str, body: bytes, *, at_s: float, most: int) -> bool:
        """Keep what came of a schedule's word or run, once; answers as `audit`. Raises NotLeadingError."""
        return self._keep_once((names.SCHEDULE_LOG, names.SCHEDULE_LOG_IDS), id_, body, at_s=at_s, most=most)

    def _keep_once(self, where: tuple[str, str], id_: str, body: bytes, *, at_s: float, most: int) -> bool:
        answer = self._run("AUDIT", [names.LEADER, *where], [self.epoch, self.nonce, id_, at_s, body, most])
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
        """Ids of live campaigns, the oldest first; what is no text is no id."""
        return texts(self.client.zrange(names.CAMPAIGNS, 0, -1))

    def journal(self, campaign: str, *, after: str = "0-0") -> list[Entry]:
        """Facts after an entry id, in order."""
        entries = self.client.xrange(names.journal(campaign), min=f"({after}")
        return [read_entry(id_, fields.get(b"f", b"")) for id_, fields in entries]

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

    def drains(self) -> tuple[bytes, ...]:
        """The words by which workers were asked to leave, as `drains.decode_drain` takes them."""
        return tuple(self.client.hvals(names.DRAIN))

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
                found.append(_card(body))
        return tuple(sorted(found, key=lambda card: card.worker))

    def unreadable_cards(self) -> tuple[str, ...]:
        """Names of workers whose cards this version cannot read."""
        named = {name.decode(errors="replace") for name in self.client.hkeys(names.WORKERS)}
        return tuple(sorted(named - {card.worker for card in self.cards()}))

    def fleet(self, now_s: float) -> tuple[WorkerCard, ...]:
        """Cards of the workers that are alive, by name."""
        return tuple(card for card in self.cards() if now_s - card.seen_s < names.CARD_S)

    def leases(self, campaign: str, attempts: Collection[str]) -> dict[str, float]:
        """Attempt -> common time of its last renewal, of those among these that have a lease."""
        if not attempts:
            return {}
        found = self.client.hmget(names.leases(campaign), list(attempts))
        return {
            attempt: float(at_ms) / 1000
            for attempt, at_ms in zip(attempts, found, strict=True)
            if at_ms is not None
        }

    # what the coordinator gives

    def put_spec(self, campaign: str, sha256: str, body: bytes) -> None:
        """Store an activity's spec, for its shards to fetch."""
        self.client.hset(names.specs(campaign), sha256, body)

    def order(self, orders: Iterable[tuple[str, Order]]) -> None:
        """Give orders, each to its worker, in one step: those of a start should come together.

        Raises NotLeadingError.
        """
        given = tuple(orders)
        keys = [names.LEADER, *(names.control(worker) for worker, _ in given)]
        bodies = [encode_order(order) for _, order in given]
        if self._run("LEAD_ORDER", keys, [self.epoch, self.nonce, ORDERS_KEPT, ORDERS_LAST_S, *bodies]) == -1:
            raise NotLeadingError

    def snapshots(self, campaign: str, after: Mapping[Stream, str]) -> Iterator[tuple[Stream, str, bytes]]:
        """New snapshots of attempts: (stream, entry id, body), in order within a stream.

        Some of them: who is far behind asks again.
        """
        return read_streams(self.client, campaign, after)

    def checkpoint(
        self,
        campaign: str,
        *,
        totals: bytes,
        part: str,
        seqs: Mapping[str, int],
        trim: Iterable[tuple[Stream, str]],
    ) -> None:
        """Store the watermark in one fenced step, and only then trim the streams up to it.

        Raises NotLeadingError.
        """
        pairs: list[Any] = [value for item in seqs.items() for value in item]
        keys = [names.LEADER, names.checkpoint(campaign), names.durable(campaign)]
        if self._run("CHECKPOINT", keys, [self.epoch, self.nonce, totals, part, *pairs]) == -1:
            raise NotLeadingError
        trim_streams(self.client, campaign, trim)

    def parts(self, campaign: str) -> tuple[str, ...]:
        """Names of the parts that checkpoints hold, in order."""
        found = self.client.hgetall(names.checkpoint(campaign))
        named = [(int(place), key[5:].decode()) for key, place in found.items() if key.startswith(b"part:")]
        return tuple(name for _, name in sorted(named))

    def show(self, campaign: str, live: bytes) -> None:
        """Publish the state for those who watch; in a Redis that is full the last one stands."""
        with suppress(redis.OutOfMemoryError):
            self.client.set(names.live(campaign), live, ex=round(self.results_kept_s))

    def finish(
        self, campaign: str, *, at_s: float, results: Mapping[str, bytes], streams: Iterable[Stream] = (),
        anyway: bool = False,
    ) -> None:  # fmt: skip
        """Store its results, then move an ended campaign out of the live ones in one fenced step.

        Until then nobody looks for its results. `anyway`: these few alone, although there is no room. What is
        left of it expires by itself; its attempts, should any still work, lose their leases.
        Raises NotLeadingError.
        """
        keys = [names.LEADER, names.CAMPAIGNS, names.FINISHED]
        keys += [key(campaign) for key in KEPT]
        keys += [names.snapshots(campaign, *stream) for stream in streams]
        if anyway:
            self.client.delete(names.results(campaign))
        for name, body in results.items():
            self._put_result(campaign, name, body, anyway=anyway)
        args = [self.epoch, self.nonce, campaign, at_s, round(self.results_kept_s)]
        if self._run("LEAD_FINISH", keys, args) == -1:
            raise NotLeadingError

    def _put_result(self, campaign: str, name: str, body: bytes, *, anyway: bool) -> None:
        """Store one result, piece by piece. Raises NotLeadingError."""
        keys = [names.LEADER, names.results(campaign)]
        last = [round(self.results_kept_s), int(anyway)]
        for at in range(0, max(1, len(body)), PIECE_BYTES):
            args = [self.epoch, self.nonce, name, at, body[at : at + PIECE_BYTES], *last]
            if self._run("LEAD_STORE", keys, args) != 1:
                raise NotLeadingError  # or somebody else writes the same: it is no leader's to go on

    def _run(self, name: str, keys: list[str], args: list[Any]) -> Any:
        return self._scripts[name](keys=keys, args=args)
