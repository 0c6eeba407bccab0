"""A stage for worker tests: a real Valkey, workers and target, and the test as their coordinator."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from workers.app import build
from workers.contract import names, snapshot
from workers.contract.control import Start, Stop, encode_order
from workers.contract.facts import WorkerCard, decode_fact
from workers.contract.spec import ShardTask, attempt_id, encode_spec

WITHIN_S = 20.0
CAMPAIGN = "trial-1"


def until(check: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Wait for a condition and return its (true) value."""
    end_s = time.monotonic() + within_s
    while not (value := check()):
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.02)
    return value


@dataclass
class Stage:
    url: str
    client: redis.Redis
    folder: Path
    processes: "list[subprocess.Popen[str]]" = field(default_factory=list)
    until: Callable[..., Any] = until
    campaign: str = CAMPAIGN

    def spawn(self, *argv: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", *argv],
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            text=True,
        )
        self.processes.append(process)
        return process

    def worker(
        self, name: str = "w1", *flags: str, wait: bool = True, **environment: str
    ) -> "subprocess.Popen[str]":
        home = str(self.folder / "home")
        process = self.spawn(
            "workers", "--name", name, "--slots", "1", *flags,
            SHAKEOUT_BROKER=self.url, SHAKEOUT_HOME=home, **environment,
        )  # fmt: skip
        if wait:
            assert process.stdout is not None
            assert process.stdout.readline() == f"worker {name} ready\n"
        return process

    def target(self, *flags: str) -> tuple[str, Path]:
        """A demo target: its URL and its own log."""
        log = self.folder / "target.jsonl"
        process = self.spawn("workers.demo_target", "--log", str(log), *flags)
        assert process.stdout is not None
        return process.stdout.readline().split()[-1], log

    def lead(self) -> None:
        self.client.hset(names.LEADER, mapping={"epoch": "1", "nonce": "test"})

    def card(self, name: str = "w1") -> WorkerCard | None:
        import msgspec

        body = self.client.hget(names.WORKERS, name)
        return msgspec.json.decode(body, type=WorkerCard) if body else None

    def place(
        self, spec: Any, *, kind: str, worker: str = "w1", number: int = 1, **changes: Any
    ) -> ShardTask:
        """Store the spec and send the Celery task, as the leader does."""
        import msgspec

        sha256, body = encode_spec(spec)
        self.client.hset(names.specs(CAMPAIGN), sha256, body)
        card = self.card(worker)
        assert card is not None
        task = ShardTask(
            campaign=CAMPAIGN, activity=spec.activity, shard=0, of=1, number=number,
            attempt=attempt_id(spec.activity, 0, number), worker=worker, incarnation=card.incarnation,
            spec_sha256=sha256, kind=kind, expires_s=time.time() + names.CLAIM_WITHIN_S,
        )  # fmt: skip
        task = msgspec.structs.replace(task, **changes)
        self.send(task)
        return task

    def send(self, task: ShardTask) -> None:
        import msgspec

        with build(self.url) as app:
            app.send_task(
                names.TASK.format(kind=task.kind),
                args=[msgspec.to_builtins(task)],
                queue=names.queue(task.worker),
            )

    def start(self, task: ShardTask, *, in_s: float = 0.3, from_s: float = 0.0) -> float:
        start_s = time.time() + in_s
        self._order(task.worker, Start(CAMPAIGN, task.attempt, start_s, from_s))
        return start_s

    def halt(self, task: ShardTask, why: str = "a test says so") -> None:
        self._order(task.worker, Stop(CAMPAIGN, task.attempt, why))

    def _order(self, worker: str, order: Start | Stop) -> None:
        self.client.xadd(names.control(worker), {"o": encode_order(order)})

    def facts(self, kind: type | None = None) -> list[Any]:
        entries = self.client.xrange(names.journal(CAMPAIGN))
        found = [decode_fact(fields[b"f"]) for _, fields in entries]
        return [fact for fact in found if kind is None or isinstance(fact, kind)]

    def fact(self, kind: type, within_s: float = WITHIN_S) -> Any:
        """The first fact of a kind, waited for."""
        return self.until(lambda: self.facts(kind), within_s)[0]

    def snapshots(self, task: ShardTask) -> list[snapshot.Snapshot]:
        stream = names.snapshots(CAMPAIGN, task.activity, task.shard)
        return [snapshot.decode(fields[b"s"]) for _, fields in self.client.xrange(stream)]

    def close(self) -> None:
        children = [child for process in self.processes for child in _children(process.pid)]
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
        for process in self.processes:
            process.wait(WITHIN_S)
            if process.stdout is not None:
                process.stdout.close()
        self.until(lambda: all(_is_over(child) for child in children), 3.0)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_over(process: psutil.Process) -> bool:
    """Ended; whether init has reaped it does not matter."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def read_log(path: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return [line for line in lines if line["event"] == event]


@pytest.fixture
def target_log() -> Callable[[Path, str], list[dict[str, Any]]]:
    """Read lines of one event from the demo target's own log."""
    return read_log


@pytest.fixture
def lone_stage(valkey: Callable[[], Any], tmp_path: Path) -> Iterator[tuple[Stage, Any]]:
    """A stage on a server of its own, and that server."""
    server = valkey()
    with server.client() as client:
        built = Stage(server.url, client, tmp_path)
        yield built, server
        built.close()


@pytest.fixture
def stage(shared_valkey: Any, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Stage]:
    """The shared Valkey, emptied; all processes started on the stage are ended."""
    built = Stage(shared_valkey.url, redis_client, tmp_path)
    yield built
    built.close()
