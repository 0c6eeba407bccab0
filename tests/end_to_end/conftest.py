"""A campaign run as a user runs it, against a real target that keeps its own log: the log is the truth."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

WAIT_S = 60.0
RUN_WITHIN_S = 180.0
"""Nobody promises how long a whole run takes on a busy machine; this ends one that hangs."""


def eventually(what: Callable[[], Any], *, within_s: float = WAIT_S) -> Any:
    """The first true answer of `what`, or a failure that names it."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what}")


@dataclass
class Target:
    """A demo target of one's own and its log."""

    url: str
    log: Path
    process: "subprocess.Popen[str]"

    def received(self) -> list[dict[str, Any]]:
        """Every request that reached it, in order."""
        if not self.log.exists():
            return []
        whole, _, _ = self.log.read_text().rpartition("\n")  # it may be writing a line just now
        lines = (json.loads(line) for line in whole.splitlines())
        return [line for line in lines if line["event"] == "received"]

    def indices(self, activity: str) -> Counter[int]:
        """How often each arrival index of an activity was seen."""
        ids = (line["id"].rsplit("/", 2) for line in self.received() if line["id"])
        return Counter(int(index) for name, index, _ in ids if name == activity)


@dataclass
class Run:
    """`shakeout run` as a process; its output is collected once it ended."""

    process: "subprocess.Popen[str]"
    folder: Path
    output: str = ""
    children: dict[int, float] = field(default_factory=dict)

    def find(self, *words: str) -> list[psutil.Process]:
        """Processes of this run whose command line holds all the words."""
        found = []
        for child in self.family():
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                found.append(child)
        return found

    def family(self) -> list[psutil.Process]:
        """All processes of this run alive now; every one seen is remembered."""
        try:
            now = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            now = []
        for one in now:
            with suppress(psutil.Error):  # it ends just now
                self.children[one.pid] = one.create_time()
        return now

    def engines_at_work(self, target: Target) -> list[psutil.Process]:
        """Engines that are connected to a target: others idle, and may have needed more time to start."""
        port = int(target.url.rpartition(":")[2])
        found = []
        for engine in self.find("workers.engine"):
            with suppress(psutil.Error):
                if any(one.raddr and one.raddr.port == port for one in engine.net_connections("tcp")):
                    found.append(engine)
        return found

    def survivors(self) -> list[int]:
        """Processes of this run that are still there."""
        left = []
        for pid, created in self.children.items():
            try:
                one = psutil.Process(pid)
                if one.create_time() == created and one.status() != psutil.STATUS_ZOMBIE:
                    left.append(pid)
            except psutil.Error:
                continue
        return left

    def wait(self, within_s: float = RUN_WITHIN_S) -> int:
        """Its exit code."""
        self.output, _ = self.process.communicate(timeout=within_s)
        return self.process.returncode

    def report(self) -> dict[str, Any]:
        """report.json."""
        return json.loads((self.folder / "report.json").read_text())


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Starts demo targets with a log each."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> Target:
        log = tmp_path / f"target-{len(started)}.log"
        argv = [sys.executable, "-m", "workers.demo_target", "--log", str(log), *flags]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        return Target(line.split()[-1], log, process)

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Starts `shakeout run` on a campaign's text."""
    started: list[Run] = []

    def start(text: str, *flags: str, stdout: int = subprocess.PIPE, **environment: str) -> Run:
        file = tmp_path / f"campaign-{len(started)}.yaml"
        file.write_text(text)
        folder = tmp_path / f"out-{len(started)}"
        argv = [sys.executable, "-m", "orchestrator", "run", str(file), "--out", str(folder), *flags]
        process = subprocess.Popen(
            argv,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "160", **environment},
        )
        one = Run(process, folder)
        started.append(one)
        return one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@dataclass(frozen=True)
class Program:
    """A server of other people's, its address, its folder, and in `log` all that it says."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def get(self, url: str) -> str:
        """A page of it, as text."""
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Program]]:
    """Starts a server by its script, in a folder of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: Path, *flags: str, python: Path = Path(sys.executable)) -> Program:
        folder = tmp_path_factory.mktemp(script.stem)
        with (folder / "log.txt").open("w") as log:
            process = subprocess.Popen([python, script, *flags], cwd=folder, stdout=log, stderr=log)
        started.append(process)
        one = Program("", folder, process)
        says = re.compile(r"^listening on (\S+)\n", re.MULTILINE)
        found = eventually(lambda: says.search(one.log) or process.poll())
        assert isinstance(found, re.Match), one.log
        return replace(one, url=found[1])

    yield start
    for process in started:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Ended:
    """A run that is over."""

    code: int
    report: dict[str, Any]
    output: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ended]:
    """Runs a campaign to its end on one worker; `files` are its data, rows as mappings."""

    def run(text: str, **files: list[dict[str, Any]]) -> Ended:
        folder = tmp_path_factory.mktemp("campaign")
        (folder / "campaign.yaml").write_text(text)
        for name, rows in files.items():
            (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        argv = [
            sys.executable,
            "-m",
            "orchestrator",
            "run",
            "campaign.yaml",
            "--out",
            "out",
            "--workers",
            "1",
        ]
        ended = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False
        )
        output = ended.stdout + ended.stderr
        assert (folder / "out" / "report.json").exists(), output
        return Ended(ended.returncode, json.loads((folder / "out" / "report.json").read_text()), output)

    return run


LOAD = """
campaign: {name}
seed: 11
on_lost_coordinator: {fence}
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 5s, stream: {stream}}}
phases:
  - name: peak
    activities:
      - name: peak-load
        kind: load
        target: chat
        shards: {shards}
        arrivals: {{process: {process}, rate: {rate}}}
        duration: {duration}
        data: {{synthetic: {{input_tokens: 8, output_tokens: 4}}}}
        slos: ["success_rate >= 90%"]
"""


@pytest.fixture
def load() -> Callable[..., str]:
    """The text of a campaign of one load."""

    def write(url: str, **given: object) -> str:
        keys = {
            "name": "one-load", "fence": "2s", "stream": "true", "shards": 2, "process": "poisson",
            "rate": "100/s", "duration": "6s", "url": url,
        } | given  # fmt: skip
        return LOAD.format(**keys)

    return write


def requests(report: dict[str, Any], activity: str = "peak-load") -> dict[str, Any]:
    """The `requests` of an activity, which must add up."""
    counts = report["activities"][activity]["requests"]
    assert counts["scheduled"] == counts["ok"] + counts["failed"] + counts["unsent"] + counts["unknown"]
    assert counts["sent"] == counts["ok"] + counts["failed"]
    return counts


@pytest.fixture
def agrees() -> Callable[[Run, Target], dict[str, Any]]:
    """Holds a report against the target's log: no index twice or foreign, sent ≤ log ≤ sent + unknown."""

    def check(run: Run, target: Target) -> dict[str, Any]:
        counts = requests(run.report())
        seen = target.indices("peak-load")
        assert max(seen.values(), default=0) <= 1, "an arrival was offered twice"
        assert all(0 <= index < counts["scheduled"] for index in seen), "an index that nobody scheduled"
        assert counts["sent"] <= len(seen) <= counts["sent"] + counts["unknown"], counts
        return counts

    return check


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait for a condition."""
    return eventually
