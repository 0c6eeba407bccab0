"""Processes as /proc shows them: who they are, how they stand, and signals that cannot hit the wrong one.

psutil is not used here: the guardian must start in milliseconds, and psutil's creation time is on the wall
clock, which may step between the agent's look and the guardian's. Source: man 5 proc, pid_stat.
"""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from workers.chaos.contract import ProcessId
from workers.contract.errors import FaultError

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of include/linux/sched.h
_CMDLINE_CHARACTERS = 256  # enough to know a process by, little enough for a report
_GONE = "ZXx"
_LOOKS_EVERY_S = 0.05


class Process(msgspec.Struct, frozen=True):
    """One process at one look. `state`: the letter of /proc/PID/stat; `create_time`: seconds since boot.

    `session`: pid of its session's leader, living or not.
    """

    pid: int
    parent: int
    state: str
    create_time: float
    name: str
    argv: tuple[str, ...]
    kernel: bool
    session: int = 0

    def identity(self) -> ProcessId:
        """Return who this is, for orders, ledgers and reports."""
        return ProcessId(self.pid, self.create_time, self.name, " ".join(self.argv)[:_CMDLINE_CHARACTERS])


def boot_s() -> float:
    """Seconds since the host booted, sleep included: the clock of deadlines (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the id of this boot of the host; pids of another boot mean nothing."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123  # pathlib costs 6 ms
        return file.read().strip()


def host_id() -> str:
    """Return what tells this host from others, through all of its boots; empty where it has no such thing.

    Source: man 5 machine-id.
    """
    try:
        return _read("/etc/machine-id").strip()
    except OSError:
        return ""


def look(pid: int) -> Process | None:
    """Return the process with this pid, or None where there is none (or none that this user may see)."""
    try:
        stat = _read(f"/proc/{pid}/stat")
        argv = _read(f"/proc/{pid}/cmdline")
    except OSError:
        return None
    name, fields = _split(stat)
    return Process(
        pid=pid,
        parent=int(fields[1]),
        state=fields[0],
        create_time=int(fields[19]) / _TICKS_PER_S,
        name=name,
        argv=tuple(word for word in argv.rstrip("\0").split("\0") if word),
        kernel=bool(int(fields[6]) & _KERNEL_THREAD),
        session=int(fields[3]),
    )


def look_at_all() -> dict[int, Process]:
    """Return every process that can be seen, by pid."""
    found = (look(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208
    return {process.pid: process for process in found if process is not None}


def is_alive(who: ProcessId) -> bool:
    """Whether that very process still runs (stopped counts, a zombie does not)."""
    process = look(who.pid)
    return process is not None and process.create_time == who.create_time and process.state not in _GONE


def alive(processes: Iterable[ProcessId]) -> list[ProcessId]:
    """Return those that still run, in the order given."""
    return [who for who in processes if is_alive(who)]


def is_stopped(who: ProcessId) -> bool:
    """Whether every thread of that very process is stopped (state T); threads that ended do not count."""
    states = thread_states(who)
    return bool(states) and all(state == "T" for state in states)


def thread_states(who: ProcessId) -> list[str]:
    """Return the state letters of the process's living threads; empty where that process is gone."""
    if not is_alive(who):
        return []
    states: list[str] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{who.pid}/task"):  # noqa: PTH208
            with suppress(OSError):
                states.append(_split(_read(f"/proc/{who.pid}/task/{thread}/stat"))[1][0])
    return [state for state in states if state not in _GONE]


def wait_for(condition: Callable[[], bool], *, within_s: float) -> None:
    """Wait until it is so, or the time is over; for what cannot be waited for in the kernel."""
    until_s = boot_s() + within_s
    while not condition() and boot_s() < until_s:
        time.sleep(_LOOKS_EVERY_S)


def ask_permission(who: ProcessId) -> None:
    """Raise FaultError where this user may not signal the process; the process notices nothing."""
    send(who, 0)


def send(who: ProcessId, number: int) -> bool:
    """Send a signal to that very process; False where it is gone, be its pid in use again or not.

    The pidfd is opened first and the identity compared afterwards, so the pid cannot change hands in between.
    Raises FaultError where this user may not.
    """
    try:
        handle = os.pidfd_open(who.pid)
    except OSError as error:
        if error.errno == errno.ESRCH:
            return False
        raise FaultError(f"cannot open {words(who)}: {error.strerror}") from error
    try:
        if not is_alive(who):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise FaultError(
            f"not permitted to signal {words(who)}: run the worker as that user, or with CAP_KILL"
        ) from error
    finally:
        os.close(handle)
    return True


def descendants(everyone: Mapping[int, Process], roots: Iterable[int]) -> list[int]:
    """Return the pids of the roots' children, theirs, and so on; each after its parent, without the roots."""
    children: dict[int, list[int]] = {}
    for process in everyone.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: list[int] = []
    seen = set(roots)
    queue = list(seen)
    while queue:
        for child in children.get(queue.pop(0), ()):
            if child not in seen:
                seen.add(child)
                found.append(child)
                queue.append(child)
    return found


def ancestors(everyone: Mapping[int, Process], pid: int) -> list[int]:
    """Return the pids of the parent, its parent, and so on up to init."""
    found: list[int] = []
    while pid in everyone and everyone[pid].parent not in (0, *found):
        pid = everyone[pid].parent
        found.append(pid)
    return found


def with_children(processes: Sequence[ProcessId]) -> list[ProcessId]:
    """Return the processes that still run and, after them, all that descends from them now."""
    everyone = look_at_all()
    roots = [who for who in processes if is_alive(who)]
    below = descendants(everyone, (who.pid for who in roots))
    return roots + [everyone[pid].identity() for pid in below if everyone[pid].state not in _GONE]


def words(who: ProcessId) -> str:
    """Name a process for a person."""
    return f"process {who.pid} ({who.name or 'unnamed'})"


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # pathlib costs 6 ms
        return file.read()


def _split(stat: str) -> tuple[str, list[str]]:
    """Name and the fields from the third on; the name may hold blanks and brackets."""
    head, _, tail = stat.rpartition(")")
    return head.partition("(")[2], tail.split()
