"""disk-io: a disk is busy with the reads and synced writes of processes of our own."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from workers.chaos import own
from workers.chaos.contract import Kind, Scene
from workers.chaos.host import disk_room, readings, stress_ng
from workers.chaos.host.readings import Seldom, Session, amount
from workers.chaos.own import Own
from workers.chaos.processes import boot_s
from workers.chaos.units import size_bytes
from workers.contract.errors import FaultError

STANDS_STILL_AFTER_S = 3.0
"""Without a byte moved and nobody waiting for the disk: the jobs do not work. One sync may take seconds."""

_LOOKS_EVERY_S = 0.1
_LEAST_BYTES = 8 * 1024**2
_STRESS_NG_OPTS = {"read": "rd-rnd", "write": "wr-rnd,fsync", "mixed": "wr-rnd,rd-rnd,fsync"}


class DiskIo:
    """Jobs write to and read from nameless files, past the page cache where that is possible."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """path: a folder on the disk. jobs: how many at a time. size: of each one's file. mode: what they do.

        engine: who does it; auto: stress-ng if there.
        """

        path: str
        jobs: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
        size: str = "64MiB"
        mode: Literal["mixed", "read", "write"] = "mixed"
        engine: stress_ng.Engine = "auto"

    def __init__(self, options: Options) -> None:
        """Read the size; raise FaultError where it is none, or too small."""
        self._options = options
        self._bytes = size_bytes(options.size, option="size")
        if self._bytes < _LEAST_BYTES:
            raise FaultError(f"size {options.size}: must be at least {amount(_LEAST_BYTES)}")
        self._moved, self._moved_s = 0, 0.0
        self._session: Session | None = None
        self._seldom = Seldom(self._measure, every_s=_LOOKS_EVERY_S)

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Say where, and by how many."""
        options = self._options
        return (f"disk of {options.path}: jobs {options.jobs} ({options.mode}), {options.size} each",)

    def check(self, scene: Scene) -> None:
        """Refuse a folder without a disk behind it, without room, or that cannot be written to."""
        stress_ng.chosen(self._options.engine)
        path, wanted = self._options.path, self._options.jobs * self._bytes
        room = disk_room.room(path, scene)
        if disk_room.in_memory(path):
            raise FaultError(
                f"path {path}: is kept in memory, there is no disk behind it; say another folder"
            )
        if wanted > room.usable_bytes:
            why = f" ({room.why_less})" if room.why_less else ""
            raise FaultError(
                f"path {path}: {amount(wanted)} for the files of {self._options.jobs} jobs cannot be had of "
                f"{amount(room.free_bytes)} free{why}: say a smaller size, or fewer jobs"
            )
        if not Path("/proc/self/io").exists():
            raise FaultError(
                "disk-io: this kernel does not count what processes read and write (/proc/self/io)"
            )
        disk_room.probe(path)

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the jobs."""
        options = self._options
        if stress_ng.chosen(options.engine):
            folder = Path(options.path) / _name(scene)
            folder.mkdir(mode=0o700)
            arguments = ["--hdd", str(options.jobs), "--hdd-bytes", str(self._bytes)]
            arguments += ["--hdd-opts", _STRESS_NG_OPTS[options.mode], "--temp-path", str(folder)]
            return (own.start("workers.chaos.host.stress_ng", arguments, scene=scene),)
        arguments = [options.path, _name(scene), str(options.jobs), str(self._bytes), options.mode]
        return (own.start("workers.chaos.host.disk_io_hog", arguments, scene=scene),)

    def inject(self, scene: Scene) -> None:  # noqa: ARG002  # the shape of every fault
        """Begin to count; the jobs are told to go."""
        self._moved, self._moved_s = 0, boot_s()

    def verify(self, scene: Scene) -> str:
        """Bytes must have moved between the jobs and the disk lately, or the jobs wait for it."""
        return self._seldom.look(scene)

    def revert(self, scene: Scene) -> None:
        """End the jobs, and remove what stress-ng, or a death in the wrong moment, left of their files."""
        own.end(scene.own)
        disk_room.remove(self._options.path, _name(scene))

    def residue(self, scene: Scene) -> str:
        """No file of theirs may be there."""
        return disk_room.left(self._options.path, _name(scene))

    def _measure(self, scene: Scene) -> str:
        self._session = self._session or Session(scene.own)
        ours = 2 if stress_ng.chosen(self._options.engine) else 1
        pids = self._session.pids(least=self._options.jobs + ours)
        moved, now_s = sum(map(readings.moved_bytes, pids)), boot_s()
        if moved > self._moved:
            self._moved, self._moved_s = moved, now_s
        if self._moved == 0:
            return "the jobs have moved no byte yet"
        still_s = now_s - self._moved_s
        if still_s < STANDS_STILL_AFTER_S or any(map(readings.waits_for_disk, pids)):
            return ""
        return f"the jobs have moved no byte for {still_s:.1f} s, and none waits for the disk"


def _name(scene: Scene) -> str:
    return f".shakeout-io-{scene.key}"


KIND = Kind(DiskIo, DiskIo.Options, wide=True, scales=("jobs",))
