"""Processes of our own that keep a disk busy.

`python -m workers.chaos.host.disk_io_hog UNTIL FOLDER NAME JOBS BYTES MODE`. Each writes and reads blocks of
a nameless file of its own, past the page cache where the file system can.
"""

import mmap
import os
from contextlib import suppress
from itertools import count

from workers.chaos.host.crew import together
from workers.chaos.host.disk_room import open_nameless
from workers.chaos.lifeline import stand_by

BLOCK_BYTES = 1024**2

_STRIDE = 7  # blocks between one access and the next, so that they do not come in order


def main() -> None:
    """Wait for the word, then write and read."""
    folder, name, jobs, size, mode = stand_by()
    together(
        int(jobs), lambda number: toil(folder, f"{name}-{number}", blocks=int(size) // BLOCK_BYTES, mode=mode)
    )


def toil(folder: str, name: str, *, blocks: int, mode: str) -> None:
    """Write all blocks once, then go on for ever: every write is synced, every read goes to the disk."""
    handle, direct = _open(folder, name)
    buffer = mmap.mmap(-1, BLOCK_BYTES)  # begins at a page, as O_DIRECT asks for
    buffer.write(os.urandom(BLOCK_BYTES))
    for block in range(blocks):
        _write(handle, buffer, block)
    for turn in count():
        block = turn * _STRIDE % blocks
        if mode == "write" or (mode == "mixed" and turn % 2):
            _write(handle, buffer, block)
        else:
            _read(handle, buffer, block, direct=direct)


def _open(folder: str, name: str) -> tuple[int, bool]:
    with suppress(OSError):
        return open_nameless(folder, name, os.O_DIRECT), True
    return open_nameless(folder, name), False


def _write(handle: int, buffer: mmap.mmap, block: int) -> None:
    os.pwritev(handle, [buffer], block * BLOCK_BYTES)
    os.fdatasync(handle)


def _read(handle: int, buffer: mmap.mmap, block: int, *, direct: bool) -> None:
    if not direct:
        os.posix_fadvise(handle, block * BLOCK_BYTES, BLOCK_BYTES, os.POSIX_FADV_DONTNEED)
    os.preadv(handle, [buffer], block * BLOCK_BYTES)


if __name__ == "__main__":
    main()
