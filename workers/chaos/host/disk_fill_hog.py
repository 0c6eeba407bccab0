"""A process of our own that takes room on a disk: that of a nameless file, held open.

`python -m workers.chaos.host.disk_fill_hog UNTIL FOLDER NAME BYTES`
"""

import errno
import os
import signal

from workers.chaos.host.crew import together
from workers.chaos.host.disk_room import open_nameless
from workers.chaos.lifeline import stand_by

_STEP_BYTES = 1024**3
_LEAST_STEP_BYTES = 64 * 1024


def main() -> None:
    """Wait for the word, then take it."""
    folder, name, size = stand_by()
    together(1, lambda _: fill(folder, name, size_bytes=int(size)))


def fill(folder: str, name: str, *, size_bytes: int) -> None:
    """Allocate the file step by step, smaller steps where the disk is nearly full, and hold it for ever."""
    handle = open_nameless(folder, name)
    had, step = 0, _STEP_BYTES
    while had < size_bytes and step >= _LEAST_STEP_BYTES:
        wanted = min(step, size_bytes - had)
        try:
            os.posix_fallocate(handle, had, wanted)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            step //= 2
        else:
            had += wanted
    os.fsync(handle)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
