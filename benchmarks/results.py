"""Keeps what a benchmark measured as benchmarks/results/NAME.json, with the machine and the versions."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
OURS = ("locust", "gevent", "geventhttpclient", "numpy", "msgspec")
SERVER_CPU, CLIENT_CPU = 0, 1
"""The server has a core of its own, and so has the client."""


def save(
    name: str, cases: Mapping[str, Any], *, settings: Mapping[str, Any], versions: Mapping[str, str]
) -> Path:
    """Write the cases of one benchmark; `versions`: of the peers, beside those of our parts."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    ours = {part: version(part) for part in OURS}
    whole = {
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **ours, **versions},
        "settings": dict(settings),
        "cases": dict(cases),
    }
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return path


def load(name: str) -> dict[str, Any] | None:
    """What was saved under a name; None where nothing was."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def machine() -> dict[str, Any]:
    """The hardware, the kernel, and how busy it was with other things just now."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / 2**20),
        "kernel": platform.release().partition("-")[0],
        "load_1m": round(os.getloadavg()[0], 2),
    }


def middle(rounds: Iterable[Mapping[str, Any]], name: str) -> float | None:
    """The median over rounds of one figure; None where no round has it."""
    found = [float(one[name]) for one in rounds if one.get(name) is not None]
    return statistics.median(found) if found else None
