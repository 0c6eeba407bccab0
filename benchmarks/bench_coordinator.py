"""What a coordinator costs with a thousand shards, how fast it places ten thousand, how fast sketches merge.

The coordinator is the real process, on a real Valkey with its append-only file, with signing keys; the
workers are simulated (simulated_workers.py). Memory of Redis is `used_memory` while the load runs.

Run: python benchmarks/bench_coordinator.py [steady] [placing] [merging] [--shards 1000] [--seconds 60] ...
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis
from results import save
from simulated_workers import COUNTS, cells_of, sketch_pool

from orchestrator.aggregate.totals import ActivityTotals, combined
from orchestrator.campaign.load import load_campaign
from orchestrator.live.view import decode_live
from orchestrator.local import free_port, valkey_binary
from orchestrator.store.store import Store
from orchestrator.submit.submit import new_id, submit
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import read_keys
from workers.contract.snapshot import Snapshot, decode, encode

WITHIN_S = 90.0
RATE = 100
"""Requests a second of one shard."""
LOOK_EVERY_S = 1.0
SETTLED_S = 3.0
"""After the start: until then the coordinator still reads what the start was made of."""
MIB = 2**20
KINDS = ("steady", "placing", "merging")
LOAD = """\
campaign: wide
targets:
  chat: {{protocol: openai-chat, model: demo, url: "http://192.0.2.1:9", timeout: 5s}}
phases:
  - name: only
    activities:
      - name: wide
        kind: load
        target: chat
        shards: {shards}
        arrivals: {{process: constant, rate: {rate}/s}}
        duration: {seconds}s
        data: {{synthetic: {{input_tokens: 8, output_tokens: 8}}}}
        slos: [p99(latency) < 1s, success_rate >= 99%]
"""


@dataclass
class Stage:
    """Valkey, a coordinator and simulated workers in one folder."""

    folder: Path
    store: Store
    environment: dict[str, str]
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def spawn(self, name: str, *argv: str) -> None:
        """Start a process; what it prints is in NAME.log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(argv, stdout=log, stderr=log, env=self.environment)

    def submit(self, *, shards: int, seconds: int) -> str:
        """Submit a load of so many shards; its id."""
        file = self.folder / "wide.yaml"
        file.write_text(LOAD.format(shards=shards, rate=RATE * shards, seconds=seconds))
        id_ = new_id("wide", now_s=time.time())
        keys = read_keys(self.environment["SHAKEOUT_SIGNING_KEY"])
        submit(load_campaign(file), store=self.store, id_=id_, seed=1, by="bench", urls={}, keys=keys)
        return id_

    def facts(self, campaign: str, kind: type) -> list[Any]:
        """What was said of one kind."""
        return [entry.fact for entry in self.store.journal(campaign) if isinstance(entry.fact, kind)]

    def counts(self) -> dict[str, float]:
        """What the simulated workers did so far."""
        return {name.decode(): float(value) for name, value in self.store.client.hgetall(COUNTS).items()}

    def close(self) -> None:
        """End everything."""
        self.store.client.close()
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes.values()):
            process.wait(timeout=30)


def until(what: Callable[[], Any], *, within_s: float = WITHIN_S) -> Any:
    """Wait for the first true answer."""
    end_s = time.monotonic() + within_s
    while not (found := what()):
        if time.monotonic() > end_s:
            raise TimeoutError(f"not within {within_s:g} s")
        time.sleep(0.02)
    return found


@contextmanager
def stage(*, workers: int, slots: int, seconds: int, sketches: int = 4, profile: str = "") -> Iterator[Stage]:
    """A fleet whose workers are all there; it ends with the block.

    `profile`: file that the coordinator leaves its profile in (profiled.py: what that costs comes on top).
    """
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        broker = f"redis://127.0.0.1:{port}/0"
        environment = {
            **os.environ,
            "SHAKEOUT_BROKER": broker,
            "SHAKEOUT_SIGNING_KEY": f"bench={secrets.token_hex(32)}",
        }
        made = Stage(Path(folder), Store(broker), environment)
        try:
            flags = ("--port", str(port), "--save", "", "--appendonly", "yes", "--dir", folder)
            made.spawn("valkey", str(valkey_binary()), *flags)
            until(lambda: _answers(made.store))
            runs = str(made.folder / "runs")
            script = str(Path(__file__).with_name("profiled.py"))
            program = (script, profile) if profile else ("-m", "orchestrator")
            made.spawn("coordinator", sys.executable, *program, "coordinator", "--runs", runs)
            until(made.store.is_led)
            script = str(Path(__file__).with_name("simulated_workers.py"))
            numbers = {
                "--workers": workers, "--slots": slots, "--rate": RATE, "--seconds": seconds,
                "--sketches": sketches,
            }  # fmt: skip
            made.spawn(
                "workers", sys.executable, script, *(str(word) for pair in numbers.items() for word in pair)
            )
            until(lambda: len(made.store.fleet(made.store.now_s())) == workers)
            yield made
        finally:
            made.close()


def _answers(store: Store) -> bool:
    try:
        return bool(store.client.ping())
    except redis.RedisError:
        return False


def steady(*, shards: int, workers: int, seconds: int, sketches: int, profile: str = "") -> dict[str, float]:
    """A load of many shards, whole: what it costs the coordinator while it runs, and whether it keeps up."""
    told = {"workers": workers, "slots": -(-shards // workers), "seconds": seconds, "sketches": sketches}
    with stage(**told, profile=profile) as fleet:
        began_s = fleet.store.now_s()
        id_ = fleet.submit(shards=shards, seconds=seconds)
        started = until(lambda: fleet.facts(id_, f.PhaseStarted))[0]
        found = {"submit_to_start_s": started.start_s - began_s}
        looks = list(
            _looks(fleet, id_, until_s=started.start_s + seconds, after_s=started.start_s + SETTLED_S)
        )
        found |= _summed(looks)
        until(lambda: len(fleet.facts(id_, f.Exited)) == shards)
        last_s = max(fact.at_s for fact in fleet.facts(id_, f.Exited))
        until(lambda: fleet.store.is_finished(id_))
        found["last_exit_to_results_s"] = fleet.store.now_s() - last_s
        report = json.loads((fleet.folder / "runs" / id_ / "report.json").read_text())
        requests = report["activities"]["wide"]["requests"]
        lost = [fact.why for fact in fleet.facts(id_, f.Lost)]
        return found | {
            "shards": shards,
            "seconds": seconds,
            "sketches_per_s": shards * sketches,
            "scheduled": requests["scheduled"],
            "missing": requests["scheduled"] - requests["ok"],
            "lost": len(lost),
        }


def _looks(fleet: Stage, id_: str, *, until_s: float, after_s: float) -> Iterator[dict[str, float]]:
    """Once a second how the coordinator and Redis stand; twice at least."""
    coordinator = psutil.Process(fleet.processes["coordinator"].pid)
    valkey = psutil.Process(fleet.processes["valkey"].pid)
    client = fleet.store.client
    looks = 0
    while (now_s := fleet.store.now_s()) < until_s or looks < 2:
        time.sleep(LOOK_EVERY_S)
        if now_s < after_s:
            continue
        looks += 1
        view = decode_live(client.get(names.live(id_)))
        pushed = fleet.counts().get("snapshots", 0.0)
        memory = client.info("memory")
        yield {
            "at_s": time.monotonic(),
            "cpu_s": _cpu_s(coordinator),
            "valkey_cpu_s": _cpu_s(valkey),
            "rss_mib": coordinator.memory_info().rss / MIB,
            "redis_mib": (memory["used_memory"] - memory.get("mem_not_counted_for_evict", 0)) / MIB,
            "view_age_s": fleet.store.now_s() - view.at_s,
            "behind": pushed - sum(one.sent for one in view.activities) / RATE,
        }


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


def _summed(looks: list[dict[str, float]]) -> dict[str, float]:
    first, last = looks[0], looks[-1]
    span_s = last["at_s"] - first["at_s"]
    third = max(1, len(looks) // 3)
    return {
        "cpu_share": (last["cpu_s"] - first["cpu_s"]) / span_s,
        "valkey_cpu_share": (last["valkey_cpu_s"] - first["valkey_cpu_s"]) / span_s,
        "redis_first_mib": max(look["redis_mib"] for look in looks[:third]),
        "redis_last_mib": max(look["redis_mib"] for look in looks[-third:]),
        "rss_first_mib": max(look["rss_mib"] for look in looks[:third]),
        "rss_last_mib": max(look["rss_mib"] for look in looks[-third:]),
        "view_age_s": max(look["view_age_s"] for look in looks),
        "behind_snapshots": max(look["behind"] for look in looks),
    }


def placing(*, shards: int, workers: int, profile: str = "") -> dict[str, float]:
    """From `submit` of a load of many shards to the last task in its worker's queue."""
    with stage(workers=workers, slots=-(-shards // workers), seconds=1, profile=profile) as fleet:
        coordinator = psutil.Process(fleet.processes["coordinator"].pid)
        began_s, cpu_s = fleet.store.now_s(), _cpu_s(coordinator)
        id_ = fleet.submit(shards=shards, seconds=600)
        submitted_s = fleet.store.now_s()
        counts = until(lambda: (now := fleet.counts()).get("tasks", 0) >= shards and now)
        cpu_s = _cpu_s(coordinator) - cpu_s
        placed = fleet.facts(id_, f.Placed)
        journal = fleet.store.journal(id_)
        last_placed_s = max(float(e.id.split("-")[0]) / 1000 for e in journal if isinstance(e.fact, f.Placed))
        started = until(lambda: fleet.facts(id_, f.PhaseStarted))[0]
        return {
            "shards": shards,
            "workers": workers,
            "submit_s": submitted_s - began_s,
            "submit_to_placed_s": last_placed_s - began_s,
            "submit_to_sent_s": counts["last_task_s"] - began_s,
            "submit_to_start_s": started.start_s - began_s,
            "cpu_s": cpu_s,
            "attempts": len(placed),
        }


def merging(*, shards: int = 1000, sketches: int = 4, rounds: int = 20) -> dict[str, float]:
    """Snapshots of many shards from their bytes to the totals, in this process: sketches a second of CPU."""
    pool = sketch_pool(RATE)
    bodies = [
        [
            encode(
                Snapshot(
                    "wide", shard, f"wide:{shard}:1", second + 1, 0.0, RATE, RATE, [],
                    cells_of(second, RATE, [pool[(shard + second + n) % len(pool)] for n in range(sketches)]),
                    running={second: 8}, completions={second: RATE},
                )
            )
            for shard in range(shards)
        ]
        for second in range(rounds)
    ]  # fmt: skip
    totals = ActivityTotals()
    began_s = time.process_time()
    for second in bodies:
        half = len(second) // 2
        for some in (second[:half], second[half:]):  # they are read twice a second
            snapshots = [decode(body) for body in some]
            fresh = [snapshot for snapshot in snapshots if totals.note(snapshot)]
            totals.add(totals.bounded(combined(fresh)))
    taken_s = time.process_time() - began_s
    assert totals.sketch("latency").count == shards * rounds * RATE
    return {"sketches_per_core_s": shards * rounds * sketches / taken_s, "shards": shards}


def main() -> None:
    """Print and keep what was asked for, all of it unless told."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("kinds", nargs="*", default=[], choices=[*KINDS, []], metavar="steady|placing|merging")
    flags.add_argument("--shards", type=int, default=1000)
    flags.add_argument("--workers", type=int, default=1000)
    flags.add_argument("--seconds", type=int, default=120)
    flags.add_argument("--sketches", type=int, default=4)
    flags.add_argument("--placed", type=int, default=10_000)
    flags.add_argument(
        "--profile", default="", help="file for the coordinator's profile (python -m pstats FILE)"
    )
    flags.add_argument("--keep", action="store_true", help="write benchmarks/results/coordinator.json")
    told = flags.parse_args()
    cases: dict[str, Mapping[str, float]] = {}
    for kind in told.kinds or KINDS:
        if kind == "steady":
            cases[kind] = steady(
                shards=told.shards, workers=told.workers, seconds=told.seconds, sketches=told.sketches,
                profile=told.profile,
            )  # fmt: skip
        elif kind == "placing":
            cases[kind] = placing(shards=told.placed, workers=told.workers, profile=told.profile)
        else:
            cases[kind] = merging(sketches=told.sketches)
        print(kind, ", ".join(f"{name} {value:,.3g}" for name, value in cases[kind].items()), flush=True)
    if not told.kinds or told.keep:
        save("coordinator", cases, settings=vars(told), versions={})


if __name__ == "__main__":
    main()
