"""A stage for worker tests: a real Valkey, workers and target, and the test as their coordinator."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from workers.app import build
from workers.contract import snapshot
from workers.contract.broker import names
from workers.contract.control import HandOver, Order, Start, Stop, encode_order
from workers.contract.data import Fixed, SyntheticData
from workers.contract.facts import WorkerCard, decode_fact
from workers.contract.schedule import OpenArrivals, Segment, blocks
from workers.contract.signed.signing import read_keys
from workers.contract.signed.trust import sign_order
from workers.contract.spec import LoadSpec, ShardTask, TargetSpec, attempt_id, encode_spec

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
    leads_with: str = ""

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

    @staticmethod
    def load(
        url: str, *, rate_per_s: float = 40.0, duration_s: float = 3.0, fence_s: float = 10.0
    ) -> LoadSpec:
        arrivals = OpenArrivals("poisson", (Segment(0.0, duration_s, rate_per_s, rate_per_s),), 7, "peak")
        target = TargetSpec(
            name="chat", protocol="openai-chat", url=url, options={"url": url, "model": "demo"}, timeout_s=5.0
        )
        return LoadSpec(
            campaign=CAMPAIGN, phase="p", activity="peak", kind="load", target=target, arrivals=arrivals,
            warmup_s=0.0, max_in_flight=200, data=SyntheticData(Fixed(8), Fixed(4)), bounds=(), tag_groups=(),
            seed=7, fence_s=fence_s,
        )  # fmt: skip

    @staticmethod
    def offered(spec: LoadSpec) -> int:
        return sum(len(block.indices) for block in blocks(spec.arrivals))

    @staticmethod
    def totals(snapshots: Iterable[snapshot.Snapshot]) -> Counter[str]:
        found: Counter[str] = Counter()
        for each in snapshots:
            for cell in each.cells:
                found.update(cell.outcomes)
        return found

    @staticmethod
    def is_over(process: psutil.Process) -> bool:
        """Ended; whether init has reaped it does not matter."""
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def lead(self) -> None:
        self.client.hset(names.LEADER, mapping={"epoch": "1", "nonce": "test"})
        self.client.zadd(names.CAMPAIGNS, {CAMPAIGN: time.time()})

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

    def hand_over(self, task: ShardTask, until_s: float) -> None:
        self._order(task.worker, HandOver(CAMPAIGN, task.attempt, until_s))

    def _order(self, worker: str, order: Order) -> None:
        signed = sign_order(order, keys=read_keys(self.leads_with))
        self.client.xadd(names.control(worker), {"o": encode_order(signed)})

    def facts(self, kind: type | None = None) -> list[Any]:
        entries = self.client.xrange(names.journal(CAMPAIGN))
        found = [decode_fact(fields[b"f"]) for _, fields in entries]
        return [fact for fact in found if kind is None or isinstance(fact, kind)]

    def fact(self, kind: type, within_s: float = WITHIN_S) -> Any:
        """The first fact of a kind, waited for."""
        return self.until(lambda: self.facts(kind), within_s)[0]

    def snapshots(self, task: ShardTask) -> list[snapshot.Snapshot]:
        stream = names.snapshots(CAMPAIGN, task.activity, task.shard, task.number)
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
        self.until(lambda: all(self.is_over(child) for child in children))


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


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


@dataclass
class Serving:
    """A TCP server of the tests on a free port: what it is given by each client goes to `handler`."""

    handler: Callable[[socket.socket], None]
    family: socket.AddressFamily = socket.AF_INET
    accepted: int = 0

    def __post_init__(self) -> None:
        self.listening = socket.create_server(
            ("::1" if self.family == socket.AF_INET6 else "127.0.0.1", 0), family=self.family, backlog=1024
        )
        self.port: int = self.listening.getsockname()[1]
        self.address = f"[::1]:{self.port}" if self.family == socket.AF_INET6 else f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self.handler(client)

    def close(self) -> None:
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


def _echo(client: socket.socket) -> None:
    while data := client.recv(65536):
        client.sendall(data)
    client.shutdown(socket.SHUT_WR)


@pytest.fixture
def serving() -> Iterator[Callable[..., Serving]]:
    """Start a TCP server; without a handler it sends back what it gets, and ends when its client does."""
    started: list[Serving] = []

    def start(handler: Callable[[socket.socket], None] = _echo, **options: Any) -> Serving:
        started.append(Serving(handler, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@dataclass
class StandingProxy:
    """A proxy of ours that stands: its process, its port, its folder for whoever commands it."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path

    def ask(self, command: Any) -> Any:
        from workers.chaos.network.proxy_wire import ask

        return ask(self.folder, command, within_s=WITHIN_S)

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection((host, self.port), timeout=WITHIN_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Callable[..., StandingProxy]]:
    """Let a proxy stand before an upstream, below the home `tmp_path`; end it afterwards."""
    import msgspec

    from workers.chaos.network.proxy_wire import folder_of
    from workers.proxy.__main__ import ORDER, ProxyOrder

    started: list[StandingProxy] = []

    def stand(upstream: str, **options: Any) -> StandingProxy:
        port = options.pop("port", None) or _free_port()
        folder = folder_of(tmp_path, port)
        folder.mkdir(parents=True, mode=0o700)
        given = {"bind": "127.0.0.1", "port": port, "upstream": upstream, **options}
        (folder / ORDER).write_bytes(msgspec.json.encode(ProxyOrder(**given)))
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.proxy", str(folder)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(StandingProxy(process, port, folder))
        assert process.stdout is not None
        with process.stdout as said:
            words = said.readline()
        assert words == b"ready\n", words.decode()
        return started[-1]

    yield stand
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def stage_until() -> Callable[..., Any]:
    """Wait for a condition, looking every 20 ms."""
    return until


@pytest.fixture
def scene(stage: Stage) -> tuple[str, Path, "subprocess.Popen[str]"]:
    """A worker and a quick target, under a leader: the target's URL, its log, the worker."""
    stage.lead()
    url, log = stage.target("--ttft", "5ms", "--gap", "1ms", "--tokens", "4")
    return url, log, stage.worker()
