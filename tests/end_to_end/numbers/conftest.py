"""Reports are held against a target that knows its own times, and against arithmetic.

A tolerance is three times what METRICS.md promises (1% + 1 ms for a quantile), never a speed of this machine.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

RUN_WITHIN_S = 180.0
MACHINE = "validity: {lag_p99: 2s, start_skew: 10s}\n"
"""What is asserted are numbers and verdicts, not how busy this machine is."""
SERVER = Path(__file__).parents[1] / "truth_server.py"


@dataclass(frozen=True)
class Server:
    """A truth server and its log."""

    url: str
    log: Path

    def requests(self, activity: str) -> list[dict[str, Any]]:
        """What it received of an activity, by index; `done_ns` where it answered to the end."""
        found: dict[tuple[int, int], dict[str, Any]] = {}
        whole, _, _ = self.log.read_text().rpartition("\n")  # it may be writing a line just now
        for text in whole.splitlines():
            line = json.loads(text)
            if line["activity"] == activity:
                found.setdefault((line["index"], line["attempt"]), {}).update(line)
        return [line for _, line in sorted(found.items())]


@dataclass(frozen=True)
class Ended:
    """A run that is over."""

    code: int
    folder: Path
    output: str

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "report.json").read_text())

    def activity(self, name: str) -> dict[str, Any]:
        return self.report["activities"][name]

    def verdicts(self, activity: str) -> dict[str, str]:
        """SLO -> verdict."""
        return {one["slo"]: one["verdict"] for one in self.report["slos"] if one["activity"] == activity}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts truth servers."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> Server:
        log = tmp_path_factory.mktemp("truth") / "log.jsonl"
        log.touch()
        argv = [sys.executable, str(SERVER), "--log", str(log), *flags]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return Server(process.stdout.readline().split()[-1], log)

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ended]:
    """Runs a campaign to its end; `files` are its data, rows as mappings."""

    def run(
        text: str, *flags: str, files: Mapping[str, Sequence[object]], env: Mapping[str, str] | None = None
    ) -> Ended:
        folder = tmp_path_factory.mktemp("campaign")
        (folder / "campaign.yaml").write_text(MACHINE + text)
        for name, rows in files.items():
            (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        argv = [sys.executable, "-m", "orchestrator", "run", "campaign.yaml", "--out", "out", *flags]
        ended = subprocess.run(
            argv,
            cwd=folder,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN_S,
            check=False,
        )
        assert (folder / "out" / "report.json").exists(), ended.stdout + ended.stderr
        return Ended(ended.returncode, folder / "out", ended.stdout + ended.stderr)

    return run


def load_text(name: str, arrivals: str, **keys: object) -> str:
    """One load of a phase's list, in YAML; `slos` is a list of expressions."""
    slos = keys.pop("slos", [])
    given = {"target": "js", "data": f"{name}.jsonl", "shards": 1} | keys
    lines = [f"      - name: {name}", "        kind: load", f"        arrivals: {{{arrivals}}}"]
    lines += [f"        {key}: {value}" for key, value in given.items()]
    if slos:
        lines += ["        slos:", *(f"          - {one}" for one in slos)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def one_load() -> Callable[..., str]:
    """Writes one load of a phase's list."""
    return load_text


def is_close(found: float, true: float, *, rel: float = 0.03, abs_s: float = 0.003) -> bool:
    return abs(found - true) <= rel * true + abs_s


@pytest.fixture(scope="session")
def close() -> Callable[..., bool]:
    """Whether a value is within three times what is promised."""
    return is_close


def is_due(said: Mapping[str, Any], name: str, due_s: float) -> bool:
    ours_s = said["lag_s"]["max"] + said["connect_s"]["max"] + 3 * said["generator"]["hub_delay_p99_s"]
    return 0.99 * due_s - 0.01 <= said["latency_s"][name] <= 1.03 * due_s + 0.1 + ours_s


@pytest.fixture(scope="session")
def due() -> Callable[[Mapping[str, Any], str, float], bool]:
    """Whether a latency is what arithmetic says: not less, and more only by what this machine took."""
    return is_due


@pytest.fixture(scope="session")
def agrees_with_logs() -> Callable[[Ended, Mapping[str, Server]], None]:
    """Holds all counts of a report against the servers' logs: no arrival twice, none invented."""

    def check(ended: Ended, servers: Mapping[str, Server]) -> None:
        for name, said in ended.report["activities"].items():
            lines = [line for one in servers.values() for line in one.requests(name)]
            warmed = said.get("warmup", {"requests": {"sent": 0}})["requests"]["sent"]
            assert adds_up(said["requests"]), (name, said["requests"])
            assert agrees_with_log(said["requests"], lines[warmed:]), (name, said["requests"], len(lines))
            assert max(Counter(line["index"] for line in lines).values(), default=1) == 1

    return check


def adds_up(counts: dict[str, Any]) -> bool:
    ends = counts["ok"] + counts["failed"] + counts["unsent"] + counts["unknown"]
    by_error = sum(counts["by_error"].values())
    sums = counts["scheduled"] == ends and counts["sent"] == counts["ok"] + counts["failed"]
    return sums and counts["failed"] == by_error


def agrees_with_log(counts: dict[str, Any], lines: Sequence[object]) -> bool:
    """A failed connect counts as sent and reaches no log."""
    reached = counts["sent"] - counts["by_error"].get("connect", 0)
    return reached <= len(lines) <= counts["sent"] + counts["unknown"]
