"""The engine beside stock Locust, with hey and wrk as the limit: one server, the same POST, same percentiles.

Run: python benchmarks/bench_locust.py [--rounds 3] [--seconds 10] [--rate 5000] [--users 64]
Two parts: paced to the same rate, and saturated by `--users` that send again at once. Server on core 0,
client on core 1. CPU is the client process's own user and system time divided by its requests: of Locust over
a span in the middle of its run (requests by the server's log), of the others over the whole run.
Results: results/locust.json.
"""

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from engine_runner import run_engine
from process_tree import Cost, tree_cost
from results import CLIENT_CPU, SERVER_CPU, middle, save
from truth_server import Truth, truth_server

HERE = Path(__file__).parent
LOCUST_PER_USER_S = 20.0
"""Pace of one Locust user where the rate is given: 250 users for 5,000/s."""
LOCUST_WARM_S = 4.0
LOCUST_WITHIN_S = 60.0
QUANTILES = (0.5, 0.9, 0.99, 0.999)
BODY = '{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1.0, 2.0, 3.0]}], "id": "0"}'
WRK_SCRIPT = f"wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = '{BODY}'\n"
UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

Figures = dict[str, Any]


def engine(truth: Truth, *, seconds: float, rate: float | None, users: int) -> Figures:
    """This project's engine, everything recorded, Poisson arrivals where there is a rate."""
    found = run_engine(truth.url, rate_per_s=rate, duration_s=seconds, users=users, cpu=CLIENT_CPU)
    told = {f"p{100 * q:g}_s": found.quantile("latency", q) for q in QUANTILES}
    lag_s = found.quantile("lag", 0.99) if rate else None
    return _figures(found.requests, found.cpu_s, wall_s=seconds, failed=found.requests - found.ok) | told | {
        "lag_p99_s": lag_s
    }  # fmt: skip


def locust(truth: Truth, *, seconds: float, rate: float | None, users: int, user: str) -> Figures:
    """A stock Locust process with one kind of user."""
    count = round(rate / LOCUST_PER_USER_S) if rate else users
    argv = [sys.executable, "-m", "locust", "-f", str(HERE / "locust_rival.py"), user, "--headless", "--json"]
    argv += ["--skip-log-setup", "--reset-stats", "--host", truth.url, "-u", str(count), "-r", str(count)]
    argv += ["--run-time", f"{math.ceil(LOCUST_WARM_S + seconds + 2)}s", "--stop-timeout", "2"]
    pace = {"RIVAL_PER_S": f"{LOCUST_PER_USER_S if rate else 0:g}"}
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **pace}, text=True
    )
    try:
        os.sched_setaffinity(process.pid, {CLIENT_CPU})
        _wait_for(lambda: truth.count() > 0)
        time.sleep(LOCUST_WARM_S)
        requests, cpu_s, begun_s = truth.count(), _cpu_s(process.pid), time.monotonic()
        time.sleep(seconds)
        requests, cpu_s = truth.count() - requests, _cpu_s(process.pid) - cpu_s
        wall_s = time.monotonic() - begun_s
        told, _ = process.communicate(timeout=LOCUST_WITHIN_S)
    finally:
        process.kill()
        process.wait()
    (entry,) = json.loads(told)
    quantiles = _of_histogram({float(ms): n for ms, n in entry["response_times"].items()})
    return _figures(requests, cpu_s, wall_s=wall_s, failed=entry["num_failures"]) | quantiles


def hey(truth: Truth, *, seconds: float, rate: float | None, users: int) -> Figures:
    """The Go program hey, HTTP/1.1 with keep-alive, on one core."""
    argv = [
        "hey",
        "-z",
        f"{seconds:g}s",
        "-c",
        str(users),
        "-m",
        "POST",
        "-T",
        "application/json",
        "-d",
        BODY,
    ]
    argv += ["-q", f"{rate / users:g}"] if rate else []
    cost = tree_cost([*argv, f"{truth.url}/infer"], cpus={CLIENT_CPU}, within_s=seconds + 30)
    answered = {code: int(n) for code, n in re.findall(r"\[(\d+)\]\s+(\d+) responses", cost.output)}
    failed = sum(n for code, n in answered.items() if code != "200")
    shown = {float(q): float(s) for q, s in re.findall(r"(\d+)% in ([\d.]+) secs", cost.output)}
    told = {f"p{100 * q:g}_s": shown.get(100 * q) for q in QUANTILES}
    return _figures(sum(answered.values()), cost.cpu_s, wall_s=seconds, failed=failed) | told


def wrk(truth: Truth, *, seconds: float, rate: float | None, users: int) -> Figures:
    """The C program wrk, one thread: what one core can do at all; it has no pace of its own."""
    assert rate is None
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT)
        script.flush()
        argv = [
            "wrk",
            "-t1",
            f"-c{users}",
            f"-d{seconds:g}s",
            "--latency",
            "-s",
            script.name,
            f"{truth.url}/infer",
        ]
        cost: Cost = tree_cost(argv, cpus={CLIENT_CPU}, within_s=seconds + 30)
    found = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s)", cost.output)
    assert found, cost.output
    shown = re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", cost.output)
    told = {f"p{q}_s": float(value) * UNITS_S[unit] for q, value, unit in shown if q != "75"}
    wall_s = float(found[2]) * UNITS_S[found[3]]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", cost.output)
    failed = int(refused[1]) if refused else 0
    return _figures(int(found[1]), cost.cpu_s, wall_s=wall_s, failed=failed) | told


CLIENTS: Mapping[str, Callable[..., Figures]] = {
    "Shakeout engine": engine,
    "Locust FastHttpUser": partial(locust, user="Fast"),
    "Locust HttpUser": partial(locust, user="Plain"),
    "hey": hey,
    "wrk": wrk,
}
PACELESS = {"wrk"}
MISSING = "{0} is not installed and left out: apt-get install {0}"


def main() -> None:
    """Measure all clients in turn, round by round; print and save the medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=5000.0)
    parser.add_argument("--users", type=int, default=64)
    given = parser.parse_args()
    absent = {tool for tool in ("hey", "wrk") if shutil.which(tool) is None}
    for tool in sorted(absent):
        print(MISSING.format(tool), flush=True)
    cases: dict[str, dict[str, Any]] = {"paced": {}, "saturated": {}}
    with truth_server(cpu=SERVER_CPU) as truth:
        for number in range(given.rounds):
            for part, rate in (("paced", given.rate), ("saturated", None)):
                for name, client in CLIENTS.items():
                    if name in absent or (rate and name in PACELESS):
                        continue
                    figures = _one(client, truth, seconds=given.seconds, rate=rate, users=given.users)
                    cases[part].setdefault(name, []).append(figures)
                    print(f"round {number + 1}, {part}: {name}: {_line(figures)}", flush=True)
    for part, found in cases.items():
        print(f"\n{part}, medians of {given.rounds}")
        for name, rounds in found.items():
            keys = {key for one in rounds for key in one}
            print(f"  {name:22s} {_line({key: middle(rounds, key) for key in keys})}")
    versions = {tool: _debian_version(tool) for tool in ("hey", "wrk") if tool not in absent}
    print(f"\n{save('locust', cases, settings=vars(given), versions=versions)}")


def _one(
    client: Callable[..., Figures], truth: Truth, *, seconds: float, rate: float | None, users: int
) -> Figures:
    truth.reset()
    figures = client(truth, seconds=seconds, rate=rate, users=users)
    log = truth.log()
    return figures | {
        "truth_requests": len(log.received_s),
        "truth_p50_s": log.quantile("service_s", 0.5),
        "truth_p99_s": log.quantile("service_s", 0.99),
    }


def _figures(requests: int, cpu_s: float, *, wall_s: float, failed: int) -> Figures:
    return {
        "requests": requests,
        "failed": failed,
        "cpu_s": cpu_s,
        "cpu_us": cpu_s / requests * 1e6,
        "per_s": requests / wall_s,
        "per_core_s": requests / cpu_s,
    }


def _of_histogram(counts: dict[float, int]) -> Figures:
    """Quantiles of Locust's {milliseconds: count}."""
    total, seen, told = sum(counts.values()), 0, {}
    wanted = list(QUANTILES)
    for ms in sorted(counts):
        seen += counts[ms]
        while wanted and seen >= wanted[0] * total:
            told[f"p{100 * wanted.pop(0):g}_s"] = ms / 1e3
    return told


def _line(figures: Mapping[str, Any]) -> str:
    shown = (
        f"{figures['per_s']:9,.0f}/s {figures['cpu_us']:7.1f} µs CPU {figures['per_core_s']:9,.0f}/s a core"
    )
    for name in ("p50_s", "p99_s", "lag_p99_s"):
        if figures.get(name) is not None:
            shown += f"  {name.removesuffix('_s')} {1e3 * figures[name]:.2f} ms"
    return shown + (f"  failed {figures['failed']:g}" if figures["failed"] else "")


def _cpu_s(pid: int) -> float:
    """CPU time of a process so far, by the kernel's clock of it."""
    return time.clock_gettime((~pid << 3) | 2)


def _wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LOCUST_WITHIN_S
    while not condition():
        if time.monotonic() > until_s:
            raise RuntimeError("Locust sends nothing")
        time.sleep(0.1)


def _debian_version(package: str) -> str:
    argv = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout or "unknown"


if __name__ == "__main__":
    main()
