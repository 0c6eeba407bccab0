"""Groups of our own in the host's control groups: made, filled, emptied, removed.

Version 1: below the group that a process is in. Version 2: beside it, as a group with processes may not hand
controllers down; what had to be handed down for it is taken back at the end.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from workers.chaos.contract import ProcessId
from workers.chaos.host.cgroups import Controller, folder_of, read
from workers.chaos.processes import alive, is_alive, words
from workers.contract.errors import FaultError

PERIOD_US = 100_000
"""Of a quota: the kernel's own default."""

_PREFIX = "shakeout-"


class Group(msgspec.Struct, frozen=True):
    """One group to be: its folder, where its processes come from, what is written to which of its files.

    `hands_down`: controllers that its parent does not hand down yet (version 2).
    """

    folder: str
    origin: str
    settings: dict[str, str]
    hands_down: tuple[str, ...] = ()


def groups_for(
    processes: Sequence[ProcessId], *, key: str, cores: float | None, memory_bytes: int | None
) -> tuple[Group, ...]:
    """Return the groups that limit these processes so. Raises FaultError where this host has none such."""
    found: dict[str, Group] = {}
    wanted: list[tuple[Controller, float]] = []
    wanted += [("cpu", cores)] if cores is not None else []
    wanted += [("memory", memory_bytes)] if memory_bytes is not None else []
    for controller, value in wanted:
        for who in alive(processes):
            hierarchy, origin = folder_of(who.pid, controller)
            second = hierarchy.version == 2
            parent = origin.parent if second and origin != hierarchy.point else origin
            known = found.get(str(origin)) or Group(
                folder=str(parent / f"{_PREFIX}{key}-{len(found)}"), origin=str(origin), settings={}
            )
            lacking = _lacking(parent, controller) if second else ()
            found[str(origin)] = replace(
                known,
                settings={**known.settings, **_settings(controller, value, second=second)},
                hands_down=tuple(dict.fromkeys((*known.hands_down, *lacking))),
            )
    return tuple(found.values())


def probe(group: Group) -> None:
    """Look whether the group can be made, and change nothing: a death here would not be in the ledger.

    Raises FaultError where it cannot, or where there is nothing to limit with.
    """
    folder = Path(group.folder)
    if folder.exists():
        raise FaultError(f"cgroup {folder} is there already: remove it (rmdir) once it is empty")
    if not os.access(folder.parent, os.W_OK | os.X_OK) or not os.access(
        Path(group.origin) / "cgroup.procs", os.W_OK
    ):
        raise FaultError(
            f"not permitted to make cgroup {folder} and move processes of {group.origin} to it: "
            "run the worker as root, or delegate the group to it"
        )
    second = {"cpu.max", "memory.max"} & set(group.settings)  # there only once they are handed down
    absent = [] if second else [name for name in group.settings if not (folder.parent / name).exists()]
    if absent:
        raise FaultError(
            f"cgroup {folder.parent} knows no {', '.join(absent)}: this kernel cannot limit that"
        )


def make(group: Group) -> None:
    """Make the group and set its limits. Raises FaultError where the kernel refuses."""
    folder = Path(group.folder)
    try:
        for controller in group.hands_down:
            (folder.parent / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        folder.mkdir(exist_ok=True)
        for name, value in group.settings.items():
            (folder / name).write_text(value, encoding="ascii")
    except OSError as error:
        raise FaultError(f"cgroup {folder} cannot be set up: {error.strerror} ({error.filename})") from error


def move(who: ProcessId, folder: str) -> None:
    """Move that very process there; one that is gone is no error. Raises FaultError: the kernel refuses."""
    if is_alive(who):
        _put(who.pid, folder, name=words(who))


def members(group: Group) -> list[int]:
    """Return the pids in the group; none where there is no such group."""
    return pids_in(group.folder)


def pids_in(folder: str) -> list[int]:
    """Return the pids in a group, by its folder."""
    return [int(pid) for pid in read(Path(folder) / "cgroup.procs").split()]


def settings_now(group: Group) -> dict[str, str]:
    """Return what the kernel says the group's limits are."""
    return {name: read(Path(group.folder) / name) for name in group.settings}


def undo(group: Group) -> None:
    """Send its processes back where they came from, remove it, and take back what was handed down for it."""
    folder = Path(group.folder)
    origin = group.origin if Path(group.origin).is_dir() else str(folder.parent)
    for pid in members(group):
        _put(pid, origin, name=f"process {pid}")
    try:
        folder.rmdir()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise FaultError(f"cgroup {folder} cannot be removed: {error.strerror}") from error
    still = _still_handed_down(group)
    if still and not _ours(folder.parent):
        for controller in still:
            _take_back(folder.parent, controller)


def left(group: Group) -> str:
    """Say what is left of it."""
    if Path(group.folder).exists():
        return f"cgroup {group.folder} is still there, with {len(members(group))} processes in it"
    still = _still_handed_down(group)
    return f"cgroup {Path(group.folder).parent} still hands down {', '.join(still)}" if still else ""


def _settings(controller: Controller, value: float, *, second: bool) -> dict[str, str]:
    if controller == "memory":
        return {"memory.max" if second else "memory.limit_in_bytes": str(int(value))}
    quota_us = max(1000, round(value * PERIOD_US))  # the kernel takes no quota below 1 ms
    if second:
        return {"cpu.max": f"{quota_us} {PERIOD_US}"}
    return {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota_us)}


def _lacking(parent: Path, controller: Controller) -> tuple[str, ...]:
    """The controller, where the parent could hand it down but does not."""
    if controller in read(parent / "cgroup.subtree_control").split():
        return ()
    if controller not in read(parent / "cgroup.controllers").split():
        raise FaultError(
            f"cgroup {parent} has no controller {controller}: hand it down from above "
            f"(systemd: CPUAccounting=yes, MemoryAccounting=yes, or Delegate=yes for the slice)"
        )
    if not os.access(parent / "cgroup.subtree_control", os.W_OK):
        raise FaultError(
            f"not permitted to hand {controller} down from cgroup {parent}: run the worker as root"
        )
    return (controller,)


def _put(pid: int, folder: str, *, name: str) -> None:
    try:
        (Path(folder) / "cgroup.procs").write_text(str(pid), encoding="ascii")
    except OSError as error:
        if error.errno != errno.ESRCH:
            raise FaultError(f"{name} cannot be moved to cgroup {folder}: {error.strerror}") from error


def _still_handed_down(group: Group) -> list[str]:
    handed = read(Path(group.folder).parent / "cgroup.subtree_control").split()
    return [controller for controller in group.hands_down if controller in handed]


def _take_back(parent: Path, controller: str) -> None:
    try:
        (parent / "cgroup.subtree_control").write_text(f"-{controller}", encoding="ascii")
    except OSError as error:
        raise FaultError(f"cgroup {parent} still hands down {controller}: {error.strerror}") from error


def _ours(parent: Path) -> bool:
    """Whether another fault has a group there, which needs what is handed down."""
    return any(path.name.startswith(_PREFIX) for path in parent.iterdir() if path.is_dir())
