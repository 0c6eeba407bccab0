"""From `submit` to the first request, and how far apart a load's shards begin: 8 workers on this machine.

Cold: the first campaign of a fleet, given as soon as all workers are there and still warm up their engines.
Warm: the campaigns after it, each given once every worker has an idle engine again.

Run: python benchmarks/bench_submit.py [--workers 8] [--times 20]
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from orchestrator.campaign.load import load_campaign
from orchestrator.local import free_port, valkey_binary
from orchestrator.store.store import Store
from orchestrator.submit.submit import new_id, submit
from workers.contract import facts as f

WITHIN_S = 60.0
LOAD = """\
campaign: first-request
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 1s}}
phases:
  - name: only
    activities:
      - name: wide
        kind: load
        target: chat
        shards: {shards}
        arrivals: {{process: constant, rate: {rate}/s}}
        duration: 2s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
"""


@dataclass
class Fleet:
    """Valkey, a target, a coordinator and workers in one folder."""

    folder: Path
    workers: int
    broker: str = ""
    log: Path = Path()
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def spawn(self, *argv: str, name: str, **environment: str) -> Path:
        """Start a process; the file that has what it prints."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            environment = {**os.environ, "SHAKEOUT_BROKER": self.broker, **environment}
            self.processes.append(subprocess.Popen(argv, stdout=file, stderr=file, env=environment))
        return log

    def idle_engines(self) -> int:
        """Engine processes that sleep; one that is still importing mostly runs."""
        found = 0
        for process in self.processes:
            for child in psutil.Process(process.pid).children(recursive=True):
                if "workers.engine" in " ".join(child.cmdline()):
                    found += child.status() == psutil.STATUS_SLEEPING
        return found


def until(what: Callable[[], Any]) -> Any:
    """Wait for the first true answer."""
    end_s = time.monotonic() + WITHIN_S
    while not (found := what()):
        if time.monotonic() > end_s:
            raise TimeoutError(f"not within {WITHIN_S:g} s")
        time.sleep(0.005)
    return found


@contextmanager
def fleet_of(workers: int) -> Iterator[tuple[Fleet, Store, str]]:
    """A fleet, its Redis and its target's address; all of it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder), workers)
        port = free_port()
        fleet.spawn(str(valkey_binary()), "--port", str(port), "--save", "", "--dir", folder, name="valkey")
        fleet.broker = f"redis://127.0.0.1:{port}/0"
        store = Store(fleet.broker)
        try:
            until(lambda: _answers(store))
            fleet.log = fleet.folder / "requests.jsonl"
            python = (sys.executable, "-m")
            said = fleet.spawn(*python, "workers.demo_target", "--log", str(fleet.log), name="target")
            runs = str(fleet.folder / "runs")
            fleet.spawn(*python, "orchestrator", "coordinator", "--runs", runs, name="coordinator")
            until(store.is_led)
            for number in range(workers):
                home = str(fleet.folder / f"home-{number}")
                argv = (*python, "workers", "--name", f"w{number}")
                fleet.spawn(*argv, name=f"w{number}", SHAKEOUT_HOME=home)
            yield fleet, store, until(lambda: said.read_text().strip()).split()[-1]
        finally:
            store.client.close()
            for process in reversed(fleet.processes):
                process.send_signal(signal.SIGTERM)
            for process in reversed(fleet.processes):
                process.wait(timeout=30)


def _answers(store: Store) -> bool:
    try:
        return bool(store.client.ping())
    except redis.RedisError:
        return False


def one(fleet: Fleet, store: Store, url: str) -> dict[str, float]:
    """Submit one load over all workers; what came when, in s since `submit` was called."""
    file = fleet.folder / "load.yaml"
    file.write_text(LOAD.format(url=url, shards=fleet.workers, rate=20 * fleet.workers))
    before = fleet.log.stat().st_size if fleet.log.exists() else 0
    id_ = new_id("first-request", now_s=time.time())
    began_ns, began_s = time.monotonic_ns(), store.now_s()
    submit(load_campaign(file), store=store, id_=id_, seed=1, by="bench", urls={})
    until(lambda: store.is_finished(id_))
    with fleet.log.open() as log:
        log.seek(before)
        first_ns = min(json.loads(line)["received_ns"] for line in log if '"received"' in line)
    facts = [entry.fact for entry in store.journal(id_)]
    report = json.loads((fleet.folder / "runs" / id_ / "report.json").read_text())
    at = {kind: max(one.at_s for one in facts if isinstance(one, kind)) for kind in (f.Placed, f.Ready)}
    return {
        "placed": at[f.Placed] - began_s,
        "ready": at[f.Ready] - began_s,
        "first request": (first_ns - began_ns) / 1e9,
        "start skew": report["activities"]["wide"]["generator"]["start_skew_s"],
    }


def main() -> None:
    """Print one line a figure."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--workers", type=int, default=8)
    flags.add_argument("--times", type=int, default=20)
    told = flags.parse_args()
    with fleet_of(told.workers) as (fleet, store, url):
        until(lambda: len(store.fleet(store.now_s())) == told.workers)
        cold = one(fleet, store, url)
        warm = []
        for _ in range(told.times):
            until(lambda: fleet.idle_engines() >= told.workers)
            time.sleep(2.0)  # an engine that sleeps may still be on its way: imports wait for the disk too
            warm.append(one(fleet, store, url))
    print(f"{told.workers} workers, {os.cpu_count()} cores, {told.times} warm campaigns; s since submit")
    for name in cold:
        values = sorted(each[name] for each in warm)
        p99 = values[-(-99 * len(values) // 100) - 1]
        print(f"{name:>14}: cold {cold[name]:.3f}  warm p50 {statistics.median(values):.3f}  p99 {p99:.3f}")


if __name__ == "__main__":
    main()
