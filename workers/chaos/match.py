"""`match`: from what a campaign says of a process to the very processes that a fault will touch.

The worker, its children and its parents never match. Shakeout's own processes, Redis or Valkey, init and
kernel threads are refused, wherever in the matched tree they stand.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path

from workers.chaos.contract import Match, ProcessId, Scene
from workers.chaos.processes import Process, ancestors, descendants, look_at_all, words
from workers.contract.errors import FaultError

__all__ = ["Match", "find", "matching", "protected"]

Everyone = Mapping[int, Process]

_LISTEN = "0A"  # TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp prints it
_GONE = "ZXx"
_SHOWN = 10  # processes named in a message; more say nothing to a person
_STORES = frozenset({"redis-server", "redis-sentinel", "valkey-server", "valkey-sentinel"})
_OURS = frozenset({"workers.chaos.guardian", "workers.proxy"})
"""Modules of ours that outlive a worker, and have the words of its faults on their command lines."""
_TARGETS = frozenset({"demo-target", "workers.demo_target"})
"""Of Shakeout's own processes the demo target alone is there to be broken."""


def find(match: Match, *, agent: int | None = None) -> list[ProcessId]:
    """Return the matched processes, parents before their children, as they are right now.

    `agent` is the pid of the worker (default: this process). Raises FaultError, naming what was found, where
    nothing matches, where another number of processes matches than `match.processes` says, and where one of
    them, or of their children, is protected.
    """
    everyone = look_at_all()
    agent = os.getpid() if agent is None else agent
    family = {agent, *ancestors(everyone, agent), *descendants(everyone, [agent])}
    hits = [
        process
        for process in _candidates(match, everyone)
        if process.pid not in family and process.state not in _GONE and not _OURS.intersection(process.argv)
    ]
    roots = _fold(hits, everyone)
    _refuse_protected(hits)
    _count(match, roots)
    pids = [process.pid for process in roots]
    below = [everyone[pid] for pid in descendants(everyone, pids) if everyone[pid].state not in _GONE]
    _refuse_protected(below)
    if inside := [process for process in below if process.pid in family]:
        raise FaultError(
            f"{_list(inside)} below {_list(roots)} belongs to this worker: match something smaller"
        )
    return [process.identity() for process in (*roots, *below)]


def matching(scene: Scene) -> list[ProcessId]:
    """Who matches now in the place of a scene's processes; nobody where it is another number than is said."""
    assert scene.match is not None  # noqa: S101  # of a kind that needs one
    try:
        return find(scene.match)
    except FaultError:
        return []


def protected(process: Process) -> str:
    """Say what a process is that no fault may touch; empty where it is fair game."""
    program = process.argv[0].split()[0].rpartition("/")[2] if process.argv else process.name
    if process.pid == 1:
        return "init"
    if process.kernel:
        return "a kernel thread"
    if process.name in _STORES or program in _STORES:
        return "a Redis or Valkey server"
    return "one of Shakeout's own" if _is_shakeout(process.argv) else ""


def _is_shakeout(argv: tuple[str, ...]) -> bool:
    """Whether the arguments start Shakeout: its command, one of its modules, or its Celery app and Flower."""
    if _TARGETS.intersection(argv[:4]):
        return False
    scripts = {word.rpartition("/")[2] for word in argv[:2]}
    if "shakeout" in scripts:
        return True
    modules = [after for flag, after in pairwise(argv) if flag in ("-m", "-A", "--app")]
    return any(module.partition(".")[0] in ("workers", "orchestrator", "shakeout") for module in modules)


def _candidates(match: Match, everyone: Everyone) -> list[Process]:
    if match.port is not None:
        pids = _listeners(match.port, everyone)
        return [everyone[pid] for pid in sorted(pids)]
    if match.pidfile is not None:
        return [_of_pidfile(Path(match.pidfile), everyone)]
    test = _by_name(match.name) if match.name is not None else _by_cmdline(match.cmdline or "")
    return [process for process in everyone.values() if test(process)]


def _by_name(name: str) -> Callable[[Process], bool]:
    """The kernel keeps 15 bytes of a name, so the program's path is asked too."""
    return lambda process: name in (process.name, *(word.rpartition("/")[2] for word in process.argv[:1]))


def _by_cmdline(pattern: str) -> Callable[[Process], bool]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise FaultError(f"match.cmdline {pattern!r} is no regular expression: {error}") from error
    return lambda process: bool(process.argv) and compiled.search(" ".join(process.argv)) is not None


def _of_pidfile(path: Path, everyone: Everyone) -> Process:
    try:
        pid = int(path.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise FaultError(f"match.pidfile {path} holds no pid: {_why(error)}") from error
    if pid not in everyone:
        raise FaultError(f"match.pidfile {path} names process {pid}, which does not run")
    return everyone[pid]


def _why(error: Exception) -> str:
    """Without the path once more, and without a number that says nothing to a person."""
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return "it is empty" if isinstance(error, IndexError) else "its first word is no number"


def _listeners(port: int, everyone: Everyone) -> set[int]:
    """Return who holds a listening socket on the port: every process that inherited it too.

    Raises FaultError where somebody listens whom this user cannot see.
    """
    inodes = _listening_inodes(port)
    links = {f"socket:[{inode}]" for inode in inodes}
    found = {pid for pid in everyone if links and _holds(pid, links)}
    if inodes and not found:
        raise FaultError(
            f"somebody listens on port {port}, but not as this user or in these namespaces: "
            "run the worker as root on that host, or match by name, cmdline or pidfile"
        )
    return found


def _listening_inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _holds(pid: int, links: Collection[str]) -> bool:
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(_target(entry.path) in links for entry in entries)
    except OSError:
        return False


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115  # 5 times the cost in pathlib, over every descriptor of the host
    except OSError:
        return ""


def _fold(hits: list[Process], everyone: Everyone) -> list[Process]:
    """Drop those that descend from another one that matches."""
    pids = {process.pid for process in hits}
    return [process for process in hits if not pids.intersection(ancestors(everyone, process.pid))]


def _refuse_protected(processes: list[Process]) -> None:
    refused = [
        f"{words(process.identity())}, {protected(process)}" for process in processes if protected(process)
    ]
    if refused:
        raise FaultError(
            f"refused: {'; '.join(refused[:_SHOWN])}: no fault may touch it, match something else"
        )


def _count(match: Match, roots: list[Process]) -> None:
    if not roots:
        raise FaultError(f"no process matches {_say(match)} on this host")
    if match.processes not in ("all", len(roots)):
        raise FaultError(
            f"{len(roots)} processes match {_say(match)}, not {match.processes}: {_list(roots)}; "
            "match one of them, or say `processes:`"
        )


def _say(match: Match) -> str:
    key = next(key for key in ("name", "cmdline", "port", "pidfile") if getattr(match, key) is not None)
    return f"{key} {getattr(match, key)!r}"


def _list(processes: list[Process]) -> str:
    shown = [
        f"{process.pid} ({process.identity().cmdline or process.name})" for process in processes[:_SHOWN]
    ]
    rest = len(processes) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
