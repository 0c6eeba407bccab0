"""What this host has, and what processes of our own take of it, as the kernel counts it in /proc.

A process that is gone takes nothing: every reading of one is then 0.
"""

import os
from collections.abc import Callable, Sequence
from stat import S_ISREG

from workers.chaos.contract import ProcessId, Scene
from workers.chaos.processes import boot_s, is_alive, look, look_at_all

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_NS_PER_S = 1e9
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are (man 3 stat)
_BEGINS_WITHIN_S = 5.0
_MEMBERS_EVERY_S = 1.0  # a look at all of /proc takes some 10 ms where a thousand processes run


class Session:
    """The processes of our own, and all that they started, as they are now or were a second ago."""

    def __init__(self, own: Sequence[ProcessId]) -> None:
        """Take those whose sessions are meant."""
        self._own = tuple(own)
        self._looked_s = -_MEMBERS_EVERY_S
        self._pids: tuple[int, ...] = ()

    def pids(self, *, least: int) -> tuple[int, ...]:
        """Return their pids; looked for anew where fewer than `least` were known, or long ago."""
        now_s = boot_s()
        if len(self._pids) < least or now_s - self._looked_s >= _MEMBERS_EVERY_S:
            leaders = {who.pid for who in self._own if is_alive(who)}
            self._pids = tuple(one.pid for one in look_at_all().values() if one.session in leaders)
            self._looked_s = now_s
        return self._pids


class Seldom:
    """A look that costs something, asked for often: in between the last answer stands."""

    def __init__(self, measure: Callable[[Scene], str], *, every_s: float) -> None:
        """`measure` is what looks; it returns what is not as it should be."""
        self._measure, self._every_s = measure, every_s
        self._looked_s: float | None = None
        self._said = ""

    def look(self, scene: Scene) -> str:
        """Return the answer of now, or of less than `every_s` ago."""
        now_s = boot_s()
        if self._looked_s is None or now_s - self._looked_s >= self._every_s:
            self._looked_s = now_s
            self._said = self._measure(scene)
        return self._said


def asked_cpu_s(pid: int) -> float:
    """Return the seconds that a process of one thread was on a core, or ready and waiting for one.

    Source: Documentation/scheduler/sched-stats.rst. Where the kernel keeps none: the time on a core alone.
    """
    fields = _words(f"/proc/{pid}/schedstat")
    if len(fields) > 1:
        return (int(fields[0]) + int(fields[1])) / _NS_PER_S
    stat = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / _TICKS_PER_S if stat else 0.0


def busy_s() -> float:
    """Return the seconds that cores of this host were not idle, or were kept from it by its own host."""
    fields = [int(word) for word in _text("/proc/stat").partition("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS_PER_S  # idle, iowait


def private_bytes(pid: int) -> int:
    """Return the memory that is a process's own: resident, or moved to swap."""
    fields = dict(line.split(":", 1) for line in _text(f"/proc/{pid}/status").splitlines() if ":" in line)
    return sum(int(fields.get(key, "0").split()[0]) * 1024 for key in ("RssAnon", "VmSwap"))


def moved_bytes(pid: int) -> int:
    """Return the bytes that a process has caused to go to and come from disks."""
    fields = dict(line.split(": ") for line in _text(f"/proc/{pid}/io").splitlines())
    return int(fields.get("read_bytes", "0")) + int(fields.get("write_bytes", "0"))


def waits_for_disk(pid: int) -> bool:
    """Whether a process is in state D now."""
    process = look(pid)
    return process is not None and process.state == "D"


def nameless_bytes(pid: int) -> int:
    """Return the room on disk of files that a process holds open and that have no name any more."""
    total = 0
    for number in _descriptors(pid):
        try:
            found = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116  # follows the kernel's own link
        except OSError:
            continue
        if S_ISREG(found.st_mode) and found.st_nlink == 0:
            total += found.st_blocks * _BLOCK_BYTES
    return total


def open_descriptors(pid: int) -> list[int]:
    """Return the numbers of a process's open descriptors, the lowest first."""
    return sorted(int(number) for number in _descriptors(pid))


def descriptor_count(pid: int) -> int:
    """Return how many descriptors a process has open; since Linux 6.2 the folder's size says it."""
    try:
        counted = os.stat(f"/proc/{pid}/fd").st_size  # noqa: PTH116  # a link of the kernel's
    except OSError:
        return 0
    return counted or len(_descriptors(pid))


def memory_bytes(key: str) -> int:
    """Return a value of /proc/meminfo, such as MemAvailable."""
    for line in _text("/proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    return 0


def file_handles() -> tuple[int, int]:
    """Return how many files are open on this host, and how many may be."""
    used, _, most = _words("/proc/sys/fs/file-nr")
    return int(used), int(most)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def patience_s(amount: float, *, per_s: float) -> float:
    """Return how long to wait for an effect of this amount: seconds to begin, the rest at a slow rate."""
    return _BEGINS_WITHIN_S + amount / per_s


def amount(size_bytes: float) -> str:
    """Return a size for people: `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size_bytes) < 1024:  # of a KiB
            return f"{size_bytes:.4g} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.4g} TiB"


def _descriptors(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208  # there may be a million
    except OSError:
        return []


def _words(path: str) -> list[str]:
    return _text(path).split()


def _text(path: str) -> str:
    """The file; empty where it is not there, or its process ends while it is read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # pathlib costs 6 ms
            return file.read()
    except OSError:
        return ""
