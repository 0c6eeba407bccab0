"""Samples of faults done to a host and to its processes' limits."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sample_bench import Bench, Sample

from workers.chaos.contract import Scene, build
from workers.chaos.processes import look
from workers.contract.errors import FaultError


def _hogs(bench: Bench) -> list[int]:
    """Who works for a fault of this bench: what it has to say goes to a file below its folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with suppress(OSError):
            log = Path(f"/proc/{pid}/fd/2").readlink()
            if log.is_relative_to(bench.folder) and log.name.startswith("own.log"):
                found.append(int(pid))
    return found


def _sum(bench: Bench, file: str, key: str) -> int:
    """A line of a file in /proc, added up over all who work for the fault."""
    total = 0
    for pid in _hogs(bench):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
    return total


def _by_hogs(
    bench: Bench, felt: Callable[[], bool], *, folder: Path | None = None, **options: object
) -> Sample:
    """A fault that is its hogs: they, and files in their folder, are all that there could be left."""

    def left() -> str:
        files = [path.name for path in folder.iterdir()] if folder is not None else []
        return " ".join(map(str, (*_hogs(bench), *files)))

    return Sample(felt, left, options=options)


def cpu(bench: Bench) -> Sample:
    def felt() -> bool:
        ticks = 0
        for pid in _hogs(bench):
            with suppress(OSError):
                ticks += int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
        return ticks > os.sysconf("SC_CLK_TCK") / 5

    return _by_hogs(bench, felt, cores=1)


def memory(bench: Bench) -> Sample:
    return _by_hogs(bench, lambda: _sum(bench, "smaps_rollup", "Anonymous") > 30 * 1024, size="32MiB")


def _is_in(link: Path, folder: Path) -> bool:
    """Whether what a descriptor is open for lies there."""
    with suppress(OSError):
        return str(link.readlink()).startswith(f"{folder}/")
    return False


def disk_fill(bench: Bench) -> Sample:
    disk = bench.folder / "disk"
    disk.mkdir()

    def felt() -> bool:
        taken = 0
        for pid in _hogs(bench):
            with suppress(OSError):
                links = [link for link in Path(f"/proc/{pid}/fd").iterdir() if _is_in(link, disk)]
                taken += sum(link.stat().st_blocks * 512 for link in links)
        return taken >= 32 * 1024**2

    return _by_hogs(bench, felt, folder=disk, path=str(disk), size="32MiB")


def disk_io(bench: Bench) -> Sample:
    disk = bench.folder / "disk"
    disk.mkdir()
    felt = lambda: _sum(bench, "io", "write_bytes") > 1024**2  # noqa: E731
    return _by_hogs(bench, felt, folder=disk, path=str(disk), jobs=1, size="8MiB", engine="own")


def descriptors(bench: Bench) -> Sample:
    def felt() -> bool:
        held = 0
        for pid in _hogs(bench):
            with suppress(OSError):
                held += len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
        return held >= 2000

    return _by_hogs(bench, felt, count=2000)


def limit_descriptors(bench: Bench) -> Sample:
    target = bench.orphan()

    def limits() -> str:
        return Path(f"/proc/{target.pid}/limits").read_text()

    before = limits()
    return Sample(
        felt=lambda: limits() != before,
        left=lambda: "" if limits() == before else f"the target's limits: {limits()}",
        match=bench.pinned(target.pid),
        options={"limit": 64},
    )


def throttle(bench: Bench) -> Sample:
    target = bench.orphan()

    def groups() -> str:
        return Path(f"/proc/{target.pid}/cgroup").read_text()

    def left() -> str:
        made = [path for path, _, _ in os.walk("/sys/fs/cgroup") if "/shakeout-" in path]
        return " ".join(made) or ("" if groups() == before else f"the target is in {groups()}")

    before = groups()
    return Sample(
        felt=lambda: groups() != before,
        left=left,
        match=bench.pinned(target.pid),
        options={"cores": 0.5, "memory": "256MiB"},
    )


def refused(fault: str, **options: object) -> str:
    """Why this machine cannot do it to this very process, as a real try shows; empty where it can."""
    me = look(os.getpid())
    assert me is not None
    try:
        build(fault, options).check(Scene("unmet", "/tmp/unmet", 0.0, processes=(me.identity(),)))
    except FaultError as error:
        return str(error)
    return ""
