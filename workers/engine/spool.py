"""The files in which an engine leaves its samples for the worker: one is written, those before it are whole.

Blocking, so not for the engine's own thread. A file that is whole is the worker's, which removes it once its
samples are stored.
"""

import os
import time
from pathlib import Path

from workers.contract.samples import DONE, OPEN, SpoolHeader, encode, frame

FILE_BYTES = 8 * 1024 * 1024
"""A file is handed over when it holds this much, or is `FILE_S` old: a few ten thousand requests."""
FILE_S = 60.0
MOST_WAITING_BYTES = 1024 * 1024 * 1024
"""Of one attempt: what waits while the runs URL is away; an hour at 1,000 requests a second."""
SPARE_BYTES = 64 * 1024 * 1024
"""Room that is left on the disk for everything else: samples are what can be done without."""


class NoRoomError(OSError):
    """Samples are not written here, and why."""


class Spool:
    """The spool of one attempt; `stem`: path of its files without their number."""

    __slots__ = ("_file", "_header", "_opened_s", "_path", "_place", "_size", "_stem")

    def __init__(self, stem: Path, header: SpoolHeader) -> None:
        self._stem = stem
        self._header = header
        self._place = header.place
        self._file = -1
        self._path = stem
        self._size = 0
        self._opened_s = 0.0

    def add(self, frames: bytes) -> None:
        """Write whole frames, none where there are none; hands the file over when it is due.

        Raises OSError, and then nothing of these frames counts.
        """
        if frames:
            if self._file < 0:
                self._open()
            self._write(frames)
        due = self._size >= FILE_BYTES or time.monotonic() - self._opened_s >= FILE_S
        if self._file >= 0 and due:
            self.close()

    def close(self) -> None:
        """Hand over what there is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._path.rename(self._path.with_suffix(DONE))

    def _open(self) -> None:
        self._check_room()
        self._path = self._stem.with_name(f"{self._stem.name}-{self._place:03d}{OPEN}")
        self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        self._size, self._opened_s = 0, time.monotonic()
        header = SpoolHeader(
            **{
                name: getattr(self._header, name) for name in SpoolHeader.__struct_fields__ if name != "place"
            },
            place=self._place,
        )
        self._place += 1
        try:
            self._write(frame(encode(header)))
        except OSError:
            os.close(self._file)
            self._file = -1
            self._path.unlink(missing_ok=True)
            raise

    def _write(self, data: bytes) -> None:
        """All of it, or nothing: half a frame would hide all that follow."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(data)

    def _check_room(self) -> None:
        folder = self._stem.parent
        room = os.statvfs(folder)
        if room.f_bavail * room.f_frsize < SPARE_BYTES:
            raise NoRoomError(f"less than {SPARE_BYTES // 2**20} MiB are free on the disk of {folder}")
        waiting = sum(file.stat().st_size for file in folder.glob(f"{self._stem.name}-*{DONE}"))
        if waiting >= MOST_WAITING_BYTES:
            raise NoRoomError(f"{waiting / 2**30:.1f} GiB of them wait to be stored already")
