"""The write-ahead ledger: what must be undone on this host stands on disk before it is done.

One JSON file a fault. An open entry is a fault that may be in effect. Once its revert was seen to work the
entry moves to done/ with who reverted it and when, where the agent, or the worker's next life, collects it.
"""

import os
import re
import shutil
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from workers.chaos.contract import Fault, FaultOrder, ProcessId, Scene, build, did_by
from workers.chaos.own import end, left
from workers.chaos.processes import alive, boot_id, boot_s, host_id, is_alive, look
from workers.contract.errors import ContractError, FaultError, ShakeoutWorkerError

REVERT_WITHIN_S = 1.0
"""How long one try at a revert is watched; a SIGCONT is seen within a millisecond."""

LEFT_BY_THE_DEAD = "left by an agent that was gone"

_LOOK_FIRST_AFTER_S = 0.002
_LOOK_AT_LEAST_EVERY_S = 0.25
_DONE = "done"

By = Literal["agent", "guardian", "next worker"]


class Entry(msgspec.Struct, frozen=True):
    """One fault that may be in effect. Times are seconds since boot (CLOCK_BOOTTIME) of the boot named.

    `deadline_s`: when the guardian reverts whatever the agent says. `touched`: what else than processes it is
    done to; one fault a target at a time. `began`: it may have been injected; until that is written here, for
    certain it has not. `host`: by `host_id`; several may see this folder, say a home on a network's disk.
    `reverted_s`, `by`, `why` and `did` (what it has done, counted) are there once it is undone.
    """

    attempt: str
    name: str
    fault: str
    options: dict[str, Any]
    scene: Scene
    agent: ProcessId
    boot: str
    deadline_s: float
    touched: tuple[str, ...] = ()
    began: bool = True
    host: str = ""
    reverted_s: float | None = None
    by: By | None = None
    why: str = ""
    did: dict[str, int] = {}


class Undone(msgspec.Struct, frozen=True):
    """One try at a revert: when its last kernel call was (CLOCK_BOOTTIME); what is left, empty if clean.

    `did`: what the fault has done by then, counted.
    """

    at_s: float
    left: str = ""
    did: dict[str, int] = {}


def open_entry(
    directory: Path,
    order: FaultOrder,
    *,
    scene: Scene,
    deadline_s: float,
    touched: tuple[str, ...] = (),
    began: bool = True,
) -> tuple[Path, Entry]:
    """Write the entry durably; return where, and it; the words as in `Entry`.

    Raises FaultError: the disk refuses, or this one is open already.
    """
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
        scene=scene,
        agent=agent.identity(),
        boot=boot_id(),
        deadline_s=deadline_s,
        touched=touched,
        began=began,
        host=host_id(),
    )
    write(path, entry)
    return path, entry


def scene_of(
    directory: Path, order: FaultOrder, *, processes: tuple[ProcessId, ...], until_s: float
) -> Scene:
    """The scene of an order, before anything is prepared; `until_s` on CLOCK_BOOTTIME."""
    path = place(directory, order)
    return Scene(
        key=path.stem.rpartition("-")[2],
        folder=str(path.with_suffix("")),
        until_s=until_s,
        seed=order.seed,
        processes=processes,
        rules=order.rules,
        match=order.match,
    )


def place(directory: Path, order: FaultOrder) -> Path:
    """Return where the order's entry stands: readable, and unique however the attempt is called."""
    full = f"{order.attempt} {order.name}"
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", full)[:80]
    return directory / f"{readable}-{zlib.crc32(full.encode()):08x}.json"


def write(path: Path, entry: Entry) -> None:
    """Put the entry there in one step, file and folder synced; raise FaultError where the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_folder(path.parent)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(entry))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise FaultError(f"ledger {path}: {error.strerror}; without it no fault is injected") from error


def make_folder(folder: Path) -> None:
    """Make a folder that survives a power cut, with those above it; raise OSError where the disk refuses."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


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
    """As `read`, but a file that cannot be read must not keep a target stopped: then what is known goes.

    And that it began, of which this may be the only word.
    """
    try:
        return read(path)
    except ContractError:
        return replace(known, began=True)


def finish(path: Path, *, by: By, undone: Undone, why: str) -> None:
    """Move a reverted entry to done/; nothing where it is no longer open."""
    entry = read(path)
    if entry is None:
        return
    done = replace(entry, reverted_s=undone.at_s, by=by, why=why, did=undone.did)
    write(path.parent / _DONE / path.name, done)
    forget(path)


def forget(path: Path) -> None:
    """Remove an open entry for which there is nothing to undo (any more).

    Raises FaultError where the disk refuses.
    """
    try:
        path.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise FaultError(f"ledger {path} cannot be closed: {error.strerror}") from error


def recorded(path: Path) -> Entry | None:
    """Return the finished entry that was open at `path`, and leave it there; None where none can be read."""
    try:
        return read(path.parent / _DONE / path.name)
    except ContractError:
        return None


def collect(path: Path) -> Entry | None:
    """Return and forget the finished entry that was open at `path`; None where none can be read."""
    entry = recorded(path)
    with suppress(OSError):  # then the next life tells it once more
        (path.parent / _DONE / path.name).unlink(missing_ok=True)
    return entry


def put_back(entry: Entry) -> Undone:
    """Revert, and look until nothing is left or REVERT_WITHIN_S is over; an error counts as left.

    Whatever the fault's own revert comes to, its own processes are ended; its folder is removed once nothing
    else is left.
    """
    until_s, wait_s = boot_s() + REVERT_WITHIN_S, _LOOK_FIRST_AFTER_S
    did: dict[str, int] = {}
    while True:
        remains, counted = _revert_once(entry)
        did = counted or did  # somebody else may have removed the folder, and the counters in it
        now_s = boot_s()
        if not remains or now_s >= until_s:
            return Undone(now_s, remains, did)
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _LOOK_AT_LEAST_EVERY_S)


def _revert_once(entry: Entry) -> tuple[str, dict[str, int]]:
    """One try: what is left, in words, and what the fault has done.

    Pids of another boot mean nothing; files of it may still be there. Where it never began there are but our
    own processes, which wait: nobody's revert command is run for nothing.
    """
    known = entry.scene.processes if entry.boot == boot_id() else ()
    own = entry.scene.own if entry.boot == boot_id() else ()
    scene = replace(entry.scene, processes=tuple(alive(known)), own=own)
    did: dict[str, int] = {}
    fault: Fault | None = None
    trouble = ""
    try:
        if entry.began:
            fault = build(entry.fault, entry.options)
            fault.revert(scene)
    except Exception as error:  # noqa: BLE001  # a bug of one kind must not end its guardian, nor keep others
        trouble = _words(error)
    end(scene.own)
    try:
        did = did_by(fault, scene) if fault is not None else {}
        if not trouble and fault is not None:
            trouble = fault.residue(scene)
    except Exception as error:  # noqa: BLE001
        trouble = trouble or _words(error)
    remains = "; ".join(filter(None, (trouble, left(scene.own))))
    if not remains:  # what the folder tells of the host as it was is needed until all is put back
        shutil.rmtree(scene.folder, ignore_errors=True)
        remains = _stays(scene.folder)
    return remains, did


def _words(error: Exception) -> str:
    if isinstance(error, ShakeoutWorkerError):
        return str(error)
    return f"internal error: {type(error).__name__}: {error}"


def _stays(folder: str) -> str:
    return f"{folder} cannot be removed" if Path(folder).exists() else ""


def reconcile(directory: Path) -> list[Entry]:
    """Undo what earlier lives of the worker left, as it starts; return what was found.

    Entries of agents that live, and of other hosts, are left alone. An entry that could not be undone is
    returned with `reverted_s` None and its residue as `why`, and stays open. Raises ContractError, after all
    others are undone, where an entry cannot be read.
    """
    stuck: list[Entry] = []
    unreadable: list[str] = []
    for path in sorted(directory.glob("*.json")):
        try:
            entry = read(path)
        except ContractError as error:
            unreadable.append(str(error))
            continue
        if entry is None or _is_others(entry):
            continue
        undone = put_back(entry)
        why = undone.left
        if not why:
            try:
                finish(path, by="next worker", undone=undone, why=LEFT_BY_THE_DEAD)
            except FaultError as error:  # the others have to be undone all the same
                why = f"undone, but not written down: {error}"
        if why:
            stuck.append(replace(entry, why=why, did=undone.did))
    if unreadable:
        raise ContractError("; ".join(unreadable))
    _sweep(directory)
    return stuck + _finished(directory)


def _is_others(entry: Entry) -> bool:
    """Whether it is for others to undo: an agent that lives, or another host that sees this folder too."""
    if entry.boot == boot_id():
        return is_alive(entry.agent)
    return bool(entry.host) and entry.host != host_id() != ""


def _finished(directory: Path) -> list[Entry]:
    found: list[Entry] = []
    for done in sorted((directory / _DONE).glob("*.json")):
        entry = read(done)
        if entry is not None and not _is_others(entry):
            found.append(entry)
            with suppress(OSError):  # then it is told again: the same word to whoever hears it
                done.unlink(missing_ok=True)
    return found


def _sweep(directory: Path) -> None:
    """Remove what a writer left that was killed in the middle."""
    for temporary in (*directory.glob(".*.tmp"), *(directory / _DONE).glob(".*.tmp")):
        if look(int(temporary.suffixes[-2][1:])) is None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
