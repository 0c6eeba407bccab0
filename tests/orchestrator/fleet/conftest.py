"""A fleet of real parts: Valkey, coordinators, workers and a target whose log is the truth."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.facts import State, fold
from orchestrator.store import Store
from orchestrator.submit import new_id, submit
from workers.contract import facts as f
from workers.contract import names
from workers.contract.signing import NO_KEYS, Keys, read_keys

WITHIN_S = 30.0
FENCE_S = 2.0
LOAD = """\
campaign: walls
seed: 3
on_lost_coordinator: {fence}
validity: {{lag_p99: 2s, start_skew: 10s}}
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
        children = psutil.Process(self.popen.pid).children(recursive=True)
        return [child for child in children if "workers.engine" in " ".join(child.cmdline())]


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
    coordinators: list[Process] = field(default_factory=list)
    workers: dict[str, Process] = field(default_factory=dict)
    ended: list[Process] = field(default_factory=list)
    number: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    keys: Keys = NO_KEYS

    def spawn(self, *argv: str, **environment: str) -> Process:
        self.number += 1
        log = self.folder / f"{self.number}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, *argv],
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
        process = self.spawn("-m", "workers.demo_target", *flags)
        self.url = eventually(lambda: process.log.read_text().strip()).split()[-1]

    def received(self) -> list[dict[str, Any]]:
        lines = self.target_log.read_text().splitlines() if self.target_log.exists() else []
        found = (json.loads(line) for line in lines if line.endswith("}"))
        return [line for line in found if line["event"] == "received"]

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
            "fence": f"{FENCE_S:g}s", "url": self.url, "shards": 2, "rate": "60/s",
            "duration": "5s", "top": "",
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


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait for a condition."""
    return eventually
