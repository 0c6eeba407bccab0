"""A fleet of real parts: Valkey, coordinators, workers and a target whose log is the truth."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import psutil
import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.facts import State, fold
from orchestrator.plan import ActivityPlan, plan_of
from orchestrator.store.store import Store
from orchestrator.submit.submit import new_id, submit
from workers.attempts.register import Running
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.schedule import arrivals_between
from workers.contract.signed.signing import NO_KEYS, Keys, read_keys

WITHIN_S = 60.0
FENCE_S = 2.0
LOAD = """\
campaign: walls
seed: 3
on_lost_coordinator: {fence}
validity: {{lag_p99: 10s, start_skew: 10s{validity}}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s}}
{top}phases:
  - name: only
    activities:
      - name: {name}
        kind: load
        target: chat
        shards: {shards}
        arrivals: {{process: poisson, rate: {rate}}}
        duration: {duration}
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["success_rate >= 50%"]
{more}"""


def eventually(what: Callable[[], Any], *, within_s: float = WITHIN_S) -> Any:
    """The first true answer of `what`."""
    until_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until_s, f"not within {within_s:g} s"
        time.sleep(0.02)
    return found


@dataclass
class Process:
    """One part of the fleet and what it wrote to stderr."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def alive(self) -> bool:
        return self.popen.poll() is None

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def engines(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.popen.pid).children(recursive=True):
            with suppress(psutil.Error):  # gone meanwhile
                found += [child] if "workers.engine" in child.cmdline() else []
        return found


@dataclass
class Campaign:
    """One submitted campaign, its journal, its results and what the target saw of it.

    `before`: requests that the target had received when it was submitted, perhaps of a load of the same name.
    """

    fleet: "Fleet"
    id: str
    name: str
    before: int = 0

    def facts(self, *kinds: type) -> list[Any]:
        found = [entry.fact for entry in self.fleet.store.journal(self.id)]
        return [fact for fact in found if not kinds or isinstance(fact, kinds)]

    def state(self) -> State:
        state = State()
        for fact in self.facts():
            state = fold(state, fact)
        return state

    def fact(self, kind: type, *, within_s: float = WITHIN_S) -> Any:
        return eventually(lambda: self.facts(kind), within_s=within_s)[0]

    def finished(self) -> bool:
        return self.fleet.store.is_finished(self.id)

    def report(self, *, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Wait for the end, and read what it came to."""
        eventually(self.finished, within_s=within_s)
        return json.loads((self.fleet.folder / "runs" / self.id / "report.json").read_text())

    def requests(self, report: dict[str, Any]) -> dict[str, Any]:
        return report["activities"][self.name]["requests"]

    def log(self) -> list[dict[str, Any]]:
        """What the target received of this campaign's load."""
        lines = self.fleet.received()[self.before :]
        return [line for line in lines if (line["id"] or "").startswith(f"{self.name}/")]

    def agrees(self, report: dict[str, Any]) -> dict[str, Any]:
        """The report held against the log: no index twice, sent ≤ log ≤ sent + unknown."""
        counts = self.requests(report)
        seen = Counter(int(line["id"].split("/")[1]) for line in self.log())
        assert max(seen.values(), default=0) <= 1, "an arrival was offered twice"
        assert counts["scheduled"] == counts["ok"] + counts["failed"] + counts["unsent"] + counts["unknown"]
        assert counts["sent"] <= len(seen) <= counts["sent"] + counts["unknown"], (counts, len(seen))
        return counts

    def states_gaps(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        """Its gaps; every arrival that the log lacks lies in one, to within one arrival, or is counted."""
        plan = self.planned()
        until_ns = round(plan.arrivals.duration_s * 1e9) + 1
        block = arrivals_between(plan.arrivals, shard=0, of=1, from_index=0, until_ns=until_ns)
        seen = {int(line["id"].split("/")[1]) for line in self.log()}
        missing = [
            (index, at_ns / 1e9)
            for index, at_ns in zip(block.indices.tolist(), block.times_ns.tolist(), strict=True)
            if index not in seen
        ]
        gaps = report["activities"][self.name]["gaps"]
        told: set[int] = set()
        for gap in gaps:
            inside = {
                index
                for index, at_s in missing
                if index % plan.shards == gap["shard"]
                and gap["from_s"] - 1e-6 <= at_s <= gap["until_s"] + 1e-6
            }
            assert gap["unsent"] - 1 <= len(inside) <= gap["unsent"] + gap["unknown"] + 1, (gap, len(inside))
            told |= inside
        counts = self.requests(report)
        beside = counts["unsent"] + counts["unknown"] - sum(gap["unsent"] + gap["unknown"] for gap in gaps)
        assert len(missing) - len(told) <= beside + len(gaps), (counts, gaps, len(missing), len(told))
        return gaps

    def planned(self) -> ActivityPlan:
        """Its load as planned: the arrivals that there were to be."""
        loaded = load_campaign(self.fleet.folder / f"{self.name}.yaml")
        return plan_of(loaded.campaign, seed=3).activity(self.name)

    def engine(self, attempt: str) -> psutil.Process:
        """The engine that works at an attempt, waited for."""
        return eventually(lambda: self.engine_now(attempt))

    def engine_now(self, attempt: str) -> psutil.Process | None:
        """The engine of an attempt as its worker's register on disk has it; None where there is none."""
        for path in self.fleet.folder.glob("home-*/marks/*/*/*.json"):
            with suppress(OSError, msgspec.DecodeError, psutil.NoSuchProcess):
                running = msgspec.json.decode(path.read_bytes(), type=Running)
                if (running.campaign, running.attempt) == (self.id, attempt):
                    return psutil.Process(running.engine.pid)
        return None

    def each_said_once(self) -> None:
        """No fact stands in the journal twice, whoever led."""
        said = [
            (type(fact).__name__, getattr(fact, "attempt", ""), getattr(fact, "phase", ""))
            for fact in self.facts()
            if not isinstance(fact, f.NotReady | f.FaultSeen)
        ]
        assert [key for key, count in Counter(said).items() if count > 1] == []


@dataclass
class Fleet:
    """Coordinators and workers on one Valkey; what a test ended is replaced by `ensure`."""

    server: Any
    folder: Path
    store: Store
    url: str = ""
    target_log: Path = Path()
    aim: Process | None = None
    coordinators: list[Process] = field(default_factory=list)
    workers: dict[str, Process] = field(default_factory=dict)
    ended: list[Process] = field(default_factory=list)
    number: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    keys: Keys = NO_KEYS
    _received: list[dict[str, Any]] = field(default_factory=list)
    _read_bytes: int = 0

    def spawn(self, *argv: str, inside: Sequence[str] = (), **environment: str) -> Process:
        """A program of ours; `inside`: words before it, of what leads to another host."""
        self.number += 1
        log = self.folder / f"{self.number}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [*inside, sys.executable, *argv],
                stdout=file,
                stderr=file,
                cwd=self.folder,
                env={**os.environ, "SHAKEOUT_BROKER": self.server.url, **self.environment, **environment},
            )
        process = Process(popen, log)
        self.ended.append(process)
        return process

    def target(self) -> None:
        self.target_log = self.folder / "target.jsonl"
        flags = ("--log", str(self.target_log), "--ttft", "5ms", "--gap", "1ms", "--tokens", "250")
        self.aim = aim = self.spawn("-m", "workers.demo_target", *flags)
        self.url = eventually(lambda: (said := aim.log.read_text()).endswith("\n") and said).split()[-1]

    def received(self) -> list[dict[str, Any]]:
        """Requests that came, as the target has logged them; each line is read once."""
        new = self.target_log.read_bytes()[self._read_bytes :] if self.target_log.exists() else b""
        whole, end, _ = new.rpartition(b"\n")
        self._read_bytes += len(whole + end)
        found = (json.loads(line) for line in whole.splitlines())
        self._received += [line for line in found if line["event"] == "received"]
        return self._received.copy()

    def coordinator(self) -> Process:
        runs = str(self.folder / "runs")
        process = self.spawn("-m", "orchestrator", "coordinator", "--runs", runs)
        self.coordinators.append(process)
        return process

    def leader(self) -> Process:
        """The coordinator whose epoch Redis holds."""

        def leading() -> list[Process]:
            epoch = self.store.client.hget(names.LEADER, "epoch")
            said = f"leading, epoch {int(epoch)}\n" if epoch else "nobody leads"
            return [one for one in self.coordinators if one.alive() and one.said(said)]

        return eventually(leading)[0]

    def worker(self, name: str = "", *, slots: int = 2, home: Path | None = None) -> Process:
        name = name or f"w{self.number + 1}"
        argv = ("-m", "workers", "--name", name, "--slots", str(slots))
        home = home or self.folder / f"home-{name}"
        process = self.spawn(*argv, SHAKEOUT_HOME=str(home))
        self.workers[name] = process
        return process

    def ensure(self, *, coordinators: int = 1, workers: int = 2) -> None:
        """So many of each are there and ready; any more are ended."""
        self.server.resume()
        if self.aim is not None:
            self.aim.signal(signal.SIGCONT)
        self.coordinators = [one for one in self.coordinators if one.alive()]
        self.workers = {name: one for name, one in self.workers.items() if one.alive()}
        for one in (*self.coordinators, *self.workers.values()):
            one.signal(signal.SIGCONT)
        while len(self.coordinators) > coordinators:
            self.coordinators.pop().kill()
        while len(self.workers) > workers:
            self.workers.popitem()[1].kill()
        while len(self.workers) < workers:
            self.worker()
        while len(self.coordinators) < coordinators:
            self.coordinator()
        eventually(lambda: all(one.said("ready") for one in self.workers.values()))
        eventually(self._cards_are_right)
        self.leader()

    def _cards_are_right(self) -> bool:
        return {card.worker for card in self.store.fleet(self.store.now_s())} == set(self.workers)

    def submit(
        self, name: str, *, more: str = "", options: Mapping[str, Any] = MappingProxyType({}), **given: object
    ) -> Campaign:
        """A campaign of one load, called `name`; `more`: further activities of its phase.

        `options`: of `submit` itself.
        """
        keys = {
            "fence": f"{FENCE_S:g}s", "url": self.url, "shards": 2, "rate": "60/s", "duration": "5s",
            "top": "", "validity": "",
        } | given  # fmt: skip
        return self.submit_text(LOAD.format(name=name, more=more, **keys), name, **options)

    def submit_text(self, text: str, name: str, **given: Any) -> Campaign:
        file = self.folder / f"{name}.yaml"
        file.write_text(text)
        loaded = load_campaign(file)
        id_ = new_id(name, now_s=self.store.now_s())
        before = len(self.received())
        submit(loaded, store=self.store, id_=id_, seed=3, by="tests", urls={}, keys=self.keys, **given)
        return Campaign(self, id_, name, before)

    def close(self) -> None:
        self.server.resume()
        for process in self.ended:
            if process.alive():
                process.signal(signal.SIGCONT)
                process.kill()
            else:
                process.popen.wait()


@pytest.fixture(scope="session")
def new_fleet(
    valkey: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Fleet]]:
    """Each call makes one more, with a Valkey and a target of its own; all end with the session."""
    made: list[Fleet] = []

    def make(**environment: str) -> Fleet:
        server = valkey()
        folder = tmp_path_factory.mktemp("fleet")
        made.append(Fleet(server, folder, Store(server.url), environment=environment))
        made[-1].target()
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()
        fleet.store.client.close()


@pytest.fixture(scope="session")
def empty_fleet() -> Callable[..., Fleet]:
    """A fleet of nobody yet, without a target: `empty_fleet(server, folder, keys, **environment)`."""

    def make(server: Any, folder: Path, keys: Keys, **environment: str) -> Fleet:
        return Fleet(server, folder, Store(server.url), environment=environment, keys=keys)

    return make


@pytest.fixture(scope="session")
def the_fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    """One fleet for all tests of this folder."""
    return new_fleet()


@pytest.fixture(scope="session")
def signed_fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet with keys: the coordinator's own, and `ada`'s, who submits."""
    own, ada = (f"{name}={secrets.token_hex(32)}" for name in ("ops", "ada"))
    fleet = new_fleet(SHAKEOUT_SIGNING_KEY=own, SHAKEOUT_SUBMITTER_KEYS=ada)
    fleet.keys = read_keys(ada)
    return fleet


@pytest.fixture
def fleet_on(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet with a target on a server of the test's own: anything with a `url` and `resume()`."""
    made: list[Fleet] = []

    def make(server: Any, **environment: str) -> Fleet:
        folder = tmp_path / f"fleet-{len(made)}"
        folder.mkdir()
        made.append(Fleet(server, folder, Store(server.url), environment=environment))
        made[-1].target()
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()
        fleet.store.client.close()


@pytest.fixture
def fleet(the_fleet: Fleet) -> Fleet:
    """The fleet, to be brought into shape by `ensure`."""
    return the_fleet


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Wait for a condition."""
    return eventually
