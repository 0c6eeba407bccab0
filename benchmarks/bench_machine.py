"""How often this machine takes a core away: an empty loop on each core notes when it did not run.

`python benchmarks/bench_machine.py [SECONDS]`. No client or server can be more punctual than this, and
beyond p99 it decides. To be run when nothing else runs.
"""

import multiprocessing
import os
import sys
import time
from typing import Any

from results import CLIENT_CPU, SERVER_CPU, save

SECONDS = 10.0
LEAST_S = 0.3e-3
"""A shorter pause is an interrupt's."""


def main() -> None:
    """Watch both cores at once, print and keep what was seen."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    cores = {"server's core": SERVER_CPU, "client's core": CLIENT_CPU}
    with multiprocessing.Pool(len(cores)) as pool:
        found = pool.starmap(stalls, [(cpu, seconds) for cpu in cores.values()], chunksize=1)
    cases = dict(zip(cores, found, strict=True))
    for name, one in cases.items():
        print(f"{name}: {one['per_s']:.0f} stalls a second, {100 * one['share']:.1f}% of the time,", end=" ")
        print(f"the longest {1e3 * one['longest_s']:.1f} ms")
    save("machine", cases, settings={"seconds": seconds, "least_s": LEAST_S}, versions={})


def stalls(cpu: int, seconds: float) -> dict[str, Any]:
    """Spin on a core: pauses of at least LEAST_S a second, their share of the time, and the longest in s."""
    os.sched_setaffinity(0, {cpu})
    found: list[float] = []
    began = last = time.perf_counter()
    while last < began + seconds:
        now = time.perf_counter()
        if now - last >= LEAST_S:
            found.append(now - last)
        last = now
    return {
        "per_s": len(found) / seconds,
        "share": sum(found) / seconds,
        "longest_s": max(found, default=0.0),
    }


if __name__ == "__main__":
    main()
