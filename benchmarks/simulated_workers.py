"""A fleet of many workers in one process, as a coordinator sees it through Redis: no engine, no traffic.

Each worker shows its card, takes tasks from its own Celery queue, claims, says that it is ready, renews its
leases and sends a snapshot a second of each running attempt, with sketches of made-up requests; all by the
scripts and messages of the contract. What it did is counted in the hash `bench`, for whoever measures.

Run: python benchmarks/simulated_workers.py --workers 1000 --slots 1 [--sketches 4] (SHAKEOUT_BROKER, ..._KEY)
"""

import argparse
import base64
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import redis

from orchestrator.coordinator.cards import VERSION
from workers.contract import facts as f
from workers.contract.broker import names, scripts
from workers.contract.control import Start, Stop, decode_order
from workers.contract.signed.signing import Keys, read_keys
from workers.contract.signed.trust import seal_snapshot, sign_observation
from workers.contract.sketch import SketchWire, sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot, encode
from workers.contract.spec import ShardTask

COUNTS = "bench"
ROUND_S = 0.05
LOOK_EVERY_S = 0.2
"""How often queues and orders are looked at: each worker of a real fleet waits for its own instead."""
TOGETHER = 500
SERIES = ("latency", "service_time", "ttft", "lag")
POOL = 64
SCRIPTS = ("CLAIM", "FACT", "SNAPSHOT", "RENEW", "CARD")


def sketch_pool(rate: int) -> list[SketchWire]:
    """Sketches of a second's requests, some fast, some slow, no two alike."""
    random = np.random.default_rng(7)
    return [to_wire(sketch_of(random.lognormal(-3.0 + 0.01 * n, 0.5, rate))) for n in range(POOL)]


def cells_of(second: int, rate: int, sketches: Iterable[SketchWire]) -> list[Cell]:
    """One second of a shard in two groups, the sketches dealt to them in turn; endpoints without any."""
    groups: list[dict[str, SketchWire]] = [{}, {}]
    for n, sketch in enumerate(sketches):
        groups[n % 2][SERIES[n // 2 % len(SERIES)]] = sketch
    return [
        Cell(second, "", {"ok": rate}, {}, groups[0], output_tokens=rate * 8),
        Cell(second, "size=small", {"ok": rate // 2}, {}, groups[1]),
        Cell(0, "@endpoint=chat", {"ok": rate}, {}, {}),
    ]


@dataclass(slots=True)
class Attempt:
    """One attempt that a worker holds; `start_s`: common time of the phase's start, None before the order."""

    task: ShardTask
    start_s: float | None = None
    seq: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """By which orders name it."""
        return self.task.campaign, self.task.attempt

    def due_s(self, of: int) -> float:
        """When its next snapshot leaves: shards report one after another over the second."""
        return (self.start_s or 0.0) + self.seq + 1 + self.task.shard / of


@dataclass(slots=True)
class Simulated:
    """All workers and what they hold. `rate`: requests a second of each shard, for `seconds`."""

    client: Any
    keys: Keys
    workers: int
    slots: int
    rate: int
    seconds: int
    sketches: int
    attempts: dict[tuple[str, str], Attempt] = field(default_factory=dict)
    orders_read: dict[str, str] = field(default_factory=dict)
    held: dict[str, list[Attempt]] = field(default_factory=dict)
    said: Iterator[int] = field(default_factory=itertools.count)
    pool: list[SketchWire] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Until the process is ended."""
        self.pool = sketch_pool(self.rate)
        self.scripts = {name: self.client.script_load(getattr(scripts, name)) for name in SCRIPTS}
        everybody = [f"w{number}" for number in range(self.workers)]
        self.orders_read = {names.control(worker): "0-0" for worker in everybody}
        carding, renewing, looking = _Turn(everybody, names.CARD_EVERY_S), _Turn(everybody, 0.5), 0.0
        while True:
            began_s = time.time()
            self._batch(self._card(worker) for worker in carding.due(began_s))
            if began_s - looking >= LOOK_EVERY_S:
                looking = began_s
                self._take_tasks(everybody)
                self._take_orders()
            self._batch(command for worker in renewing.due(began_s) for command in self._renew(worker))
            self._report(began_s)
            time.sleep(max(0.0, began_s + ROUND_S - time.time()))

    def _batch(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Commands in round trips of some hundred."""
        answers: list[Any] = []
        for some in _parts(commands):
            pipe = self.client.pipeline(transaction=False)
            for command in some:
                pipe.execute_command(*command)
            answers += pipe.execute()
        return answers

    def _script(self, name: str, keys: list[str], *words: Any) -> tuple[Any, ...]:
        return ("EVALSHA", self.scripts[name], len(keys), *keys, *words)

    def _card(self, worker: str) -> tuple[Any, ...]:
        card = f.WorkerCard(
            worker=worker,
            incarnation="one",
            host=f"host-{worker}",
            version=VERSION,
            slots=self.slots,
            seen_s=time.time(),
            trusts=tuple(key.id for key in self.keys.keys),
        )
        lives_ms = str(round(names.CARD_S * 1000))
        return self._script("CARD", [names.WORKERS], worker, "one", msgspec.json.encode(card), lives_ms)

    def _take_tasks(self, everybody: list[str]) -> None:
        found = self._batch(("RPOP", names.queue(worker), 1000) for worker in everybody)
        tasks = [_task(message) for messages in found for message in messages or ()]
        if not tasks:
            return
        pipe = self.client.pipeline(transaction=False)
        pipe.hincrby(COUNTS, "tasks", len(tasks))
        pipe.hset(COUNTS, "last_task_s", time.time())
        pipe.execute()
        claims = self._batch(
            self._script(
                "CLAIM", [names.claims(task.campaign), names.leases(task.campaign)],
                task.attempt, "one", round(task.expires_s * 1000),
            )
            for task in tasks
        )  # fmt: skip
        taken = [task for task, answer in zip(tasks, claims, strict=True) if answer == 1]
        said: list[tuple[Any, ...]] = []
        for task in taken:
            attempt = Attempt(task)
            if attempt.key in self.attempts:
                continue
            self.attempts[attempt.key] = attempt
            self.held.setdefault(task.worker, []).append(attempt)
            said.append(
                self._fact(task, f.Claimed(attempt=task.attempt, worker=task.worker, incarnation="one"))
            )
            said.append(self._fact(task, f.Ready(attempt=task.attempt, fingerprint="same", numpy="same")))
        self._batch(said)

    def _fact(self, task: ShardTask, fact: Any) -> tuple[Any, ...]:
        told = sign_observation(fact, campaign=task.campaign, keys=self.keys)
        places = [names.journal(task.campaign), names.fact_ids(task.campaign), names.claims(task.campaign)]
        id_ = f"{task.attempt}:{next(self.said)}"
        words = (id_, f.encode_fact(told), task.attempt, "one", task.campaign)
        return self._script("FACT", [*places, names.INBOX], *words)

    def _take_orders(self) -> None:
        for stream, entries in self.client.xread(self.orders_read, count=1000):
            for id_, fields in entries:
                self.orders_read[stream.decode()] = id_.decode()
                order = decode_order(fields[b"o"])
                attempt = self.attempts.get((order.campaign, order.attempt))
                if attempt is None:
                    continue
                if isinstance(order, Start) and attempt.start_s is None:
                    attempt.start_s = order.start_s
                elif isinstance(order, Stop):
                    self._batch([self._exit(attempt, "stopped")])

    def _renew(self, worker: str) -> Iterator[tuple[Any, ...]]:
        yield "HGETALL", names.HALT
        held = self.held.get(worker, ())
        for campaign in dict.fromkeys(one.task.campaign for one in held):
            attempts = [one.task.attempt for one in held if one.task.campaign == campaign]
            yield self._script("RENEW", [names.leases(campaign)], *attempts)

    def _report(self, now_s: float) -> None:
        """Snapshots that are due, and the ends of those that have sent their last one."""
        commands: list[tuple[Any, ...]] = []
        pushed = 0
        for attempt in list(self.attempts.values()):
            while attempt.start_s is not None and attempt.seq < self.seconds:
                if attempt.due_s(attempt.task.of) > now_s:
                    break
                commands.append(self._snapshot(attempt))
                pushed += 1
            if attempt.seq >= self.seconds:
                commands.append(self._exit(attempt, "done"))
        if pushed:
            commands.append(("HINCRBY", COUNTS, "snapshots", pushed))
        self._batch(commands)

    def _snapshot(self, attempt: Attempt) -> tuple[Any, ...]:
        task = attempt.task
        attempt.seq += 1
        seq = attempt.seq
        first = task.shard * 7 + seq
        sketches = [self.pool[(first + n) % POOL] for n in range(self.sketches)]
        done = seq * self.rate
        in_flight = [task.shard + task.of * (done + n) for n in range(8)] if seq < self.seconds else []
        snapshot = Snapshot(
            task.activity, task.shard, task.attempt, seq, time.time(),
            dispatched=task.shard + task.of * done, sent=done, in_flight=in_flight,
            cells=cells_of(seq - 1, self.rate, sketches), running={seq - 1: 8},
            completions={seq - 1: self.rate}, busy_share=0.2, start_lag_s=0.001, final=seq == self.seconds,
        )  # fmt: skip
        stream = names.snapshots(task.campaign, task.activity, task.shard, task.number)
        id_ = f"{task.number}-{seq}"
        body = seal_snapshot(encode(snapshot), stream=stream, id_=id_, keys=self.keys)
        return self._script("SNAPSHOT", [stream, names.claims(task.campaign)], task.attempt, "one", id_, body)

    def _exit(self, attempt: Attempt, outcome: Any) -> tuple[Any, ...]:
        task = attempt.task
        del self.attempts[attempt.key]
        self.held[task.worker].remove(attempt)
        fact = f.Exited(
            attempt=task.attempt,
            outcome=outcome,
            dispatched=task.shard + task.of * attempt.seq * self.rate,
            last_seq=attempt.seq,
            silent_s=time.time(),
            at_s=time.time(),
        )
        return self._fact(task, fact)


class _Turn:
    """Everybody's turn once in so many seconds, one after another."""

    def __init__(self, everybody: list[str], every_s: float) -> None:
        self._everybody, self._every_s = everybody, every_s
        self._at, self._began_s = 0, time.time() - every_s  # all have had a turn when it begins

    def due(self, now_s: float) -> Iterator[str]:
        """Whose turn came since the last call, nobody more than once."""
        until = int((now_s - self._began_s) / self._every_s * len(self._everybody))
        for place in range(max(self._at, until - len(self._everybody)), until):
            yield self._everybody[place % len(self._everybody)]
        self._at = until


def _parts(commands: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    iterator = iter(commands)
    while some := list(itertools.islice(iterator, TOGETHER)):
        yield some


def _task(message: bytes) -> ShardTask:
    """What a Celery message of protocol 2 asks for."""
    (body,), _, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
    return msgspec.convert(body, ShardTask)


def main() -> None:
    """Simulate until ended."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--workers", type=int, default=1000)
    flags.add_argument("--slots", type=int, default=1)
    flags.add_argument("--rate", type=int, default=100)
    flags.add_argument("--seconds", type=int, default=60)
    flags.add_argument("--sketches", type=int, default=4)
    told = flags.parse_args()
    client = redis.Redis.from_url(os.environ["SHAKEOUT_BROKER"], socket_timeout=10)
    Simulated(client, read_keys(os.environ.get("SHAKEOUT_SIGNING_KEY", "")), **vars(told)).run()


if __name__ == "__main__":
    main()
