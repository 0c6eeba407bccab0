"""What this host is, as Linux tells it: kernel, processor, and the cores and memory that are ours to use."""

import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from workers.contract.addresses import is_loopback, plain_host

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
CPUINFO = Path("/proc/cpuinfo")
MOST_ADDRESSES = 64
"""A host of containers has many; a card must stay small."""
_UNLIMITED_BYTES = 1 << 60
"""cgroup v1 says "no limit" with a number near 2^63."""


def kernel() -> str:
    """Its name and release, e.g. `Linux 6.1.0-18-amd64`."""
    return f"{platform.system()} {platform.release()}"


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name; its architecture where /proc does not tell (ARM)."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (
        line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == "model name"
    )
    return next(filter(None, named), platform.machine())


def python_version() -> str:
    """Of the interpreter, e.g. `3.11.2`."""
    return platform.python_version()


def addresses() -> tuple[str, ...]:
    """Of its network interfaces, IPv4 and IPv6; loopback and those of one link alone are left out."""
    found = (
        plain_host(one.address.partition("%")[0])
        for each in psutil.net_if_addrs().values()
        for one in each
        if one.family in (socket.AF_INET, socket.AF_INET6)
    )
    known = sorted({one for one in found if not is_loopback(one) and not one.startswith("fe80:")})
    return tuple(known[:MOST_ADDRESSES])


def cores(own: Path = OWN_CGROUPS, root: Path = CGROUPS) -> int:
    """Cores that this process may use: its affinity, cut to its control groups' quota; at least 1.

    A quota of 2.5 cores is 2: the half would be a core that stalls.
    """
    count = len(os.sched_getaffinity(0)) or psutil.cpu_count() or 1
    quotas = [_quota(folder) for folder in _folders("cpu", own, root)]
    return max(1, min([count, *(int(quota) for quota in quotas if quota is not None)]))


def memory_bytes(own: Path = OWN_CGROUPS, root: Path = CGROUPS) -> int:
    """Memory that this process may use: the machine's, cut to its control groups' limit."""
    limits = [
        _number(folder / name)
        for folder in _folders("memory", own, root)
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    return min([psutil.virtual_memory().total, *(one for one in limits if one and one < _UNLIMITED_BYTES)])


def _quota(folder: Path) -> float | None:
    """Cores that a group may use at most; None where it is not limited."""
    words = _read(folder / "cpu.max").split()  # v2: "max 100000" or "250000 100000"
    if not words:
        words = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        return int(words[0]) / int(words[1])
    return None


def _folders(controller: str, own: Path, root: Path) -> Iterator[Path]:
    """The groups of this process that have the controller, and all above: any of them may hold the limit.

    In a container its own group is often the root of what can be seen; a path that is not there is skipped.
    """
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controllers if controllers else root
        if controllers and not base.exists():
            base = root / controller
        group = Path(path.lstrip("/"))
        yield from (base / part for part in (group, *group.parents))


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
