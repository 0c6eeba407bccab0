"""Runs a command and says what it and everything it started cost: CPU seconds of the whole tree.

`python benchmarks/process_tree.py COMMAND ...` prints one JSON line at the end, after the command's own
words; `tree_cost` runs it so. CPU is what the kernel charged to every process of the tree, also to those
whose parent went first: the runner is their reaper (PR_SET_CHILD_SUBREAPER) and waits for all of them.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ORPHANS_WITHIN_S = 20.0
"""Tools leave children that still write files; later ones are killed, and counted."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A command's price and its words. `cpu_s`: user and system time of its process tree."""

    cpu_s: float
    wall_s: float
    code: int
    output: str


class CommandError(RuntimeError):
    """A command ended otherwise than well; its last words are told."""


def tree_cost(
    argv: Sequence[str | Path],
    *,
    cpus: set[int],
    within_s: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Cost:
    """Run a command on the cores `cpus`; CommandError where it fails or takes more than `within_s`."""
    whole = ["taskset", "-c", ",".join(map(str, sorted(cpus))), sys.executable, __file__, *map(str, argv)]
    process = subprocess.Popen(
        whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env={**os.environ, **(environment or {})}, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise CommandError(f"{argv[0]} took longer than {within_s:g} s") from None
    words, _, last = output.rstrip().rpartition("\n")
    if process.returncode:
        raise CommandError(f"{argv[0]} ended with {process.returncode}:\n{output[-3000:]}")
    told = json.loads(last)
    return Cost(cpu_s=told["cpu_s"], wall_s=told["wall_s"], code=told["code"], output=words)


def main() -> int:
    """Run the command of the argument list to its end and wait for all that it started."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    begun_s = time.monotonic()
    code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, check=False).returncode
    wall_s = time.monotonic() - begun_s
    _reap(time.monotonic() + ORPHANS_WITHIN_S)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "wall_s": wall_s, "code": code}), flush=True)
    return code


def _reap(until_s: float) -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        if time.monotonic() > until_s:
            for child in _children():
                os.kill(child, signal.SIGKILL)
        time.sleep(0.05)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


if __name__ == "__main__":
    sys.exit(main())
