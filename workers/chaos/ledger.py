"""The write-ahead ledger: what must be undone on this host stands on disk before it is done.

One JSON file a fault. An open entry is a fault that may be in effect. Once its revert was seen to work the
entry moves to done/ with who reverted it and when, where the agent, or the worker's next life, collects it.
"""

import os
import re
import time
import zlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from workers.chaos.contract import FaultOrder, ProcessId, build
from workers.chaos.processes import alive, boot_id, boot_s, is_alive, look
from workers.contract.errors import ContractError, FaultError, ShakeoutWorkerError

REVERT_WITHIN_S = 1.0
"""How long one try at a revert is watched; a SIGCONT is seen within a millisecond."""

_LOOK_EVERY_S = 0.002
_DONE = "done"

By = Literal["agent", "guardian", "next worker"]


class Entry(msgspec.Struct, frozen=True):
    """One fault that may be in effect. Times are seconds since boot (CLOCK_BOOTTIME) of the boot named.

    `deadline_s`: when the guardian reverts whatever the agent says. `reverted_s`, `by` and `why` are there
    once it is undone.
    """

    attempt: str
    name: str
    fault: str
    options: dict[str, Any]
    processes: tuple[ProcessId, ...]
    agent: ProcessId
    boot: str
    deadline_s: float
    reverted_s: float | None = None
    by: By | None = None
    why: str = ""


class Undone(msgspec.Struct, frozen=True):
    """One try at a revert: when its last kernel call was (CLOCK_BOOTTIME); what is left, empty if clean."""

    at_s: float
    left: str = ""


def open_entry(
    directory: Path, order: FaultOrder, *, processes: tuple[ProcessId, ...], deadline_s: float
) -> tuple[Path, Entry]:
    """Write the entry durably; return where, and it. Raises FaultError: the disk refuses, or one is open."""
    agent = look(os.getpid())
    assert agent is not None  # noqa: S101  # a process can always see itself
    path = place(directory, order)
    if path.exists():
        raise FaultError(f"{path}: this attempt at fault {order.name} has begun already and is not undone")
    entry = Entry(
        attempt=order.attempt,
        name=order.name,
        fault=order.fault,
        options=order.options,
        processes=processes,
        agent=agent.identity(),
        boot=boot_id(),
        deadline_s=deadline_s,
    )
    write(path, entry)
    return path, entry


def place(directory: Path, order: FaultOrder) -> Path:
    """Return where the order's entry stands: readable, and unique however the attempt is called."""
    full = f"{order.attempt} {order.name}"
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", full)[:80]
    return directory / f"{readable}-{zlib.crc32(full.encode()):08x}.json"


def write(path: Path, entry: Entry) -> None:
    """Put the entry there in one step, file and folder synced; raise FaultError where the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(entry))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise FaultError(f"ledger {path}: {error.strerror}; without it no fault is injected") from error


def read(path: Path) -> Entry | None:
    """Return the entry there, None where there is none; raise ContractError where it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Entry)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ContractError(
            f"ledger {path} cannot be read: {error}; look at the host, then remove it"
        ) from error


def latest(path: Path, known: Entry) -> Entry | None:
    """As `read`, but a file that cannot be read must not keep a target stopped: then what is known goes."""
    try:
        return read(path)
    except ContractError:
        return known


def finish(path: Path, *, by: By, reverted_s: float, why: str) -> None:
    """Move a reverted entry to done/; nothing where it is no longer open."""
    entry = read(path)
    if entry is None:
        return
    done = msgspec.structs.replace(entry, reverted_s=reverted_s, by=by, why=why)
    write(path.parent / _DONE / path.name, done)
    forget(path)


def forget(path: Path) -> None:
    """Remove an open entry for which there is nothing to undo (any more)."""
    path.unlink(missing_ok=True)
    _sync(path.parent)


def collect(path: Path) -> Entry | None:
    """Return and forget the finished entry that was open at `path`, if there is one."""
    done = path.parent / _DONE / path.name
    entry = read(done)
    done.unlink(missing_ok=True)
    return entry


def put_back(entry: Entry) -> Undone:
    """Revert, and look until nothing is left or REVERT_WITHIN_S is over; an error counts as left."""
    now_s = boot_s()
    if entry.boot != boot_id():
        return Undone(now_s)
    until_s = now_s + REVERT_WITHIN_S
    try:
        fault = build(entry.fault, entry.options)
        while True:
            living = alive(entry.processes)
            fault.revert(living)
            now_s = boot_s()
            left = fault.residue(living)
            if not left or now_s >= until_s:
                return Undone(now_s, left)
            time.sleep(_LOOK_EVERY_S)
    except ShakeoutWorkerError as error:
        return Undone(now_s, str(error))


def reconcile(directory: Path) -> list[Entry]:
    """Undo what earlier lives of the worker left, as it starts; return what was found.

    Entries of agents that live are left alone. An entry that could not be undone is returned with
    `reverted_s` None and its residue as `why`, and stays open. Raises ContractError, after all others are
    undone, where an entry cannot be read.
    """
    stuck: list[Entry] = []
    unreadable: list[str] = []
    for path in sorted(directory.glob("*.json")):
        try:
            entry = read(path)
        except ContractError as error:
            unreadable.append(str(error))
            continue
        if entry is None or _agent_lives(entry):
            continue
        undone = put_back(entry)
        if undone.left:
            stuck.append(msgspec.structs.replace(entry, why=undone.left))
        else:
            finish(path, by="next worker", reverted_s=undone.at_s, why="left by an agent that was gone")
    if unreadable:
        raise ContractError("; ".join(unreadable))
    _sweep(directory)
    return stuck + _finished(directory)


def _agent_lives(entry: Entry) -> bool:
    return entry.boot == boot_id() and is_alive(entry.agent)


def _finished(directory: Path) -> list[Entry]:
    found: list[Entry] = []
    for done in sorted((directory / _DONE).glob("*.json")):
        entry = read(done)
        if entry is not None and not _agent_lives(entry):
            found.append(entry)
            done.unlink(missing_ok=True)
    return found


def _sweep(directory: Path) -> None:
    """Remove what a writer left that was killed in the middle."""
    for temporary in (*directory.glob(".*.tmp"), *(directory / _DONE).glob(".*.tmp")):
        if look(int(temporary.suffixes[-2][1:])) is None:
            temporary.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
