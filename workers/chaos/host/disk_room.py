"""Room on a disk: how much of it a fault may take, and files that are gone with whoever holds them.

Such a file has no name: the kernel gives its room back the moment that its process ends, however that comes
about, and after a crash of the host too. So there is nothing that could be left behind.
"""

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from workers.chaos.contract import Scene
from workers.chaos.host.memory_room import available_bytes, floor_bytes
from workers.chaos.host.mounts import kind_at
from workers.chaos.host.readings import amount
from workers.contract.errors import FaultError

LEDGER_NEEDS_BYTES = 64 * 1024**2
"""Free room on the disk of the worker's own ledger and scratch folder, which no fault may take."""

_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs", "hugetlbfs")
_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)  # man 2 open, O_TMPFILE


@dataclass(frozen=True, slots=True)
class Room:
    """What a folder's file system has for anybody (`free_bytes`), and what of it may be taken."""

    free_bytes: int
    usable_bytes: int
    why_less: str


def in_memory(folder: str) -> bool:
    """Whether a folder's files are kept in memory, with no disk behind."""
    return kind_at(folder) in _IN_MEMORY


def room(folder: str, scene: Scene) -> Room:
    """Look how much there is, and how much may go. Raises FaultError where the folder is not fit for it."""
    if not os.path.isabs(folder):  # noqa: PTH117
        raise FaultError(f"path {folder}: say an absolute path, of a folder of the worker's host")
    if not os.path.isdir(folder):  # noqa: PTH112
        raise FaultError(f"path {folder}: is no folder of this host")
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if found.f_blocks == 0:
        raise FaultError(
            f"path {folder}: its file system ({kind_at(folder)}) has no size, so it cannot be filled"
        )
    kept, why = 0, ""
    for mine in filter(None, (scene.folder, scene.rules.home)):
        if _same_disk(folder, _existing(mine)):
            kept, why = (
                LEDGER_NEEDS_BYTES,
                f"{amount(LEDGER_NEEDS_BYTES)} must stay for the worker's own ledger",
            )
    usable = max(0, free - kept)
    if in_memory(folder) and (spare := max(0, available_bytes() - floor_bytes())) < usable:
        usable, why = spare, f"it is kept in memory, and {amount(floor_bytes())} must stay for the host"
    return Room(free, usable, why)


def probe(folder: str) -> None:
    """Write to a nameless file and let go of it, or look where there is none such; nothing can stay.

    Raises FaultError where this worker cannot write there.
    """
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _NO_NAMELESS and os.access(folder, os.W_OK | os.X_OK):
            return
        raise FaultError(f"path {folder}: cannot be written to by this worker: {error.strerror}") from error
    try:
        os.posix_fallocate(handle, 0, 1)
    except OSError as error:
        raise FaultError(f"path {folder}: no room can be taken there: {error.strerror}") from error
    finally:
        os.close(handle)


def open_nameless(folder: str, name: str, flags: int = 0) -> int:
    """Open a new file without a name; where the file system has none such, its name lives for a moment."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except OSError as error:
        if error.errno not in _NO_NAMELESS:
            raise
    path = Path(folder) / name
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    path.unlink()
    return handle


def remove(folder: str, name: str) -> None:
    """Remove what has a name that begins so: of `open_nameless`, if killed over it, or of another program."""
    for path in _named(folder, name):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def left(folder: str, name: str) -> str:
    """Say which of them are there."""
    return "; ".join(f"{path} is still there" for path in _named(folder, name))


def _named(folder: str, name: str) -> list[Path]:
    try:
        return [path for path in Path(folder).iterdir() if path.name.startswith(name)]
    except OSError:
        return []


def _existing(path: str) -> Path:
    """The folder, or the nearest above it that there is."""
    folder = Path(path)
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _same_disk(one: str, other: Path) -> bool:
    """Whether both take from the same room: the same device, or (subvolumes, overlays) the same counts."""
    if os.stat(one).st_dev == other.stat().st_dev:  # noqa: PTH116
        return True
    first, second = os.statvfs(one), os.statvfs(other)
    counts = [(found.f_blocks * found.f_frsize, found.f_bfree * found.f_frsize) for found in (first, second)]
    return counts[0] == counts[1]
