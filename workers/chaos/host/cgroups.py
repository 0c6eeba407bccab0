"""Control groups of this host, version 1 and 2: where they are, which one a process is in, what they allow.

Source: Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of the kernel.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workers.chaos.host.mounts import Mount, mounts
from workers.contract.errors import FaultError

Controller = Literal["cpu", "memory"]

_UNLIMITED_BYTES = 1 << 60  # version 1 says the largest number that a page count can hold


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One tree of groups: `point` is where its folder `root` is mounted."""

    version: Literal[1, 2]
    point: Path
    root: str


def hierarchy_of(controller: Controller) -> Hierarchy | None:
    """Return the tree that has the controller; None where none has."""
    for mount in mounts():
        if mount.kind == "cgroup" and controller in mount.options:
            return Hierarchy(1, Path(mount.point), mount.root)
        if mount.kind == "cgroup2" and controller in read(Path(mount.point) / "cgroup.controllers").split():
            return _second(mount)
    return None


def folder_of(pid: int, controller: Controller) -> tuple[Hierarchy, Path]:
    """Return the tree of the controller, and the process's folder in it. Raises FaultError: not seen."""
    hierarchy = hierarchy_of(controller)
    if hierarchy is None:
        raise FaultError(f"no cgroup controller {controller} is mounted on this host")
    for line in read(Path(f"/proc/{pid}/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        mine = controllers == "" if hierarchy.version == 2 else controller in controllers.split(",")
        if mine:
            return hierarchy, _below(hierarchy, path, pid=pid)
    raise FaultError(f"process {pid} is in no cgroup of controller {controller}")


def cpu_quota_cores(pid: int | None = None) -> float | None:
    """Return how many cores the groups of a process (default: this one) allow it; None: no limit."""
    return min(_quotas(os.getpid() if pid is None else pid), default=None)


def memory_room_bytes(pid: int | None = None) -> int | None:
    """Return how much more the groups of a process (default: this one) allow it; None: no limit."""
    return min(_rooms(os.getpid() if pid is None else pid), default=None)


def read(path: Path) -> str:
    """Return a file of the kernel's; empty where there is none, or none that this user may read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _second(mount: Mount) -> Hierarchy:
    return Hierarchy(2, Path(mount.point), mount.root)


def _below(hierarchy: Hierarchy, path: str, *, pid: int) -> Path:
    """The folder, by the path that the kernel says; a mount may show but a part of the tree."""
    root = hierarchy.root.rstrip("/")
    inside = path == root or path.startswith(root + "/")
    folder = hierarchy.point / path[len(root) :].lstrip("/")
    if not inside or ".." in Path(path).parts or not folder.is_dir():
        raise FaultError(
            f"the cgroup {path} of process {pid} is not to be seen at {hierarchy.point}: "
            "run the worker on the host itself, or in the host's cgroup namespace"
        )
    return folder


def _chain(pid: int, controller: Controller) -> Iterator[tuple[Hierarchy, Path]]:
    """The process's folder and those above it."""
    try:
        hierarchy, folder = folder_of(pid, controller)
    except FaultError:
        return
    while folder.is_relative_to(hierarchy.point):
        yield hierarchy, folder
        folder = folder.parent


def _quotas(pid: int) -> Iterator[float]:
    for hierarchy, folder in _chain(pid, "cpu"):
        if hierarchy.version == 1:
            quota, period = read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
        else:
            quota, _, period = read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            yield int(quota) / int(period)


def _rooms(pid: int) -> Iterator[int]:
    for hierarchy, folder in _chain(pid, "memory"):
        first = hierarchy.version == 1
        limit = read(folder / ("memory.limit_in_bytes" if first else "memory.max"))
        used = read(folder / ("memory.usage_in_bytes" if first else "memory.current"))
        if limit.isdigit() and used.isdigit() and int(limit) < _UNLIMITED_BYTES:
            stat = dict(line.split(" ", 1) for line in read(folder / "memory.stat").splitlines())
            cache = int(stat.get("total_inactive_file" if first else "inactive_file", 0))
            yield max(0, int(limit) - int(used) + cache)
