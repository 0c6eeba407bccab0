"""What runs on this worker, on disk: by it the worker's next life can tell how these attempts ended.

A killed worker cannot say that its engines are gone, nor what they did last. Its next life on this host can:
one folder a life holds who the process is, and for each attempt its engine, the engine's watermark file and
the sum of the snapshots that Redis has. Nothing here needs to survive the host, so nothing is synced.
"""

import logging
import os
import shutil
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from workers.chaos.contract import ProcessId
from workers.chaos.processes import boot_id, look
from workers.contract import snapshot
from workers.contract.errors import HostError
from workers.contract.snapshot import Cell
from workers.contract.spec import ShardTask
from workers.engine.watermark import Tally
from workers.fleet.outbox import Item

LIFE = "life.json"
EXITED = ":exited:"
"""Part of the id of an attempt's last fact."""

log = logging.getLogger(__name__)


class Life(msgspec.Struct, frozen=True):
    """One life of a worker; pids mean something on the same boot and in the same namespace only."""

    incarnation: str
    process: ProcessId
    boot: str
    pid_namespace: str


class Running(msgspec.Struct, frozen=True):
    """One attempt and the engine that runs it."""

    campaign: str
    activity: str
    shard: int
    number: int
    attempt: str
    engine: ProcessId
    timeout_s: float


class Delivered(msgspec.Struct, frozen=True):
    """Redis has the attempt's snapshots up to `seq`; `cells`: their sum, as far back as it may be needed."""

    seq: int
    cells: list[Cell]


@dataclass(slots=True)
class _Entry:
    mark: Path
    tally: Tally
    seq: int = 0


@dataclass(slots=True)
class Register:
    """This life's folder under `home`; methods may be called from any thread."""

    home: Path
    incarnation: str
    _entries: dict[tuple[str, str], _Entry] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def folder(self) -> Path:
        """Where this life's watermark files and records stand."""
        return self.home / self.incarnation

    def open(self) -> None:
        """Say who this life is. Raises HostError where its folder cannot be made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(
                f"cannot write to {self.home}: {error.strerror}; make it possible, or set SHAKEOUT_HOME to "
                "another folder"
            ) from error
        _write(self.folder / LIFE, this_life(self.incarnation))

    def close(self) -> None:
        """Leave nothing, unless an attempt's end is still to be told."""
        if not self._entries:
            shutil.rmtree(self.folder, ignore_errors=True)

    def mark(self) -> Path:
        """A place for one more watermark file."""
        return self.folder / uuid.uuid4().hex

    def begin(self, task: ShardTask, *, pid: int, mark: Path, timeout_s: float) -> None:
        """An engine is about to work at an attempt; nothing has been sent yet."""
        engine = look(pid)
        if engine is None:
            return  # gone already; that it ended is the next event
        running = Running(
            task.campaign, task.activity, task.shard, task.number, task.attempt, engine.identity(), timeout_s
        )
        with self._lock:
            self._entries[task.campaign, task.attempt] = _Entry(mark, Tally(timeout_s))
        _write(mark.with_suffix(".json"), running)

    def delivered(self, item: Item) -> None:
        """Redis has one more of an attempt's snapshots, or the fact that it is over."""
        with self._lock:
            entry = self._entries.get((item.campaign, item.attempt))
            if entry is None:
                return
            if not item.seq:
                if EXITED in item.id:
                    del self._entries[item.campaign, item.attempt]
                    forget(entry.mark)
            elif item.seq > entry.seq:
                entry.seq = item.seq
                entry.tally.add(snapshot.decode(item.body))
                _write(entry.mark.with_suffix(".tally"), Delivered(entry.seq, entry.tally.cells()))


def this_life(incarnation: str) -> Life:
    """Who this process is."""
    me = look(os.getpid())
    assert me is not None  # noqa: S101  # a process can always see itself
    return Life(incarnation, me.identity(), boot_id(), str(Path("/proc/self/ns/pid").readlink()))


def forget(mark: Path) -> None:
    """Remove all that stands of one attempt."""
    for path in (mark, mark.with_suffix(".json"), mark.with_suffix(".tally")):
        path.unlink(missing_ok=True)


def _write(path: Path, record: Life | Running | Delivered) -> None:
    """Whole or not at all; on a full disk the next life will know less, and this one goes on."""
    new = path.with_suffix(f"{path.suffix}.new")
    try:
        new.write_bytes(msgspec.json.encode(record))
        new.replace(path)
    except OSError as error:
        log.warning("%s cannot be written: %s", path, error.strerror)
