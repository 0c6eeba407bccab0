"""Processes of our own that hold memory: `python -m workers.chaos.host.memory_hog UNTIL BYTES FLOOR CREW`.

Every page is written, with bytes that no compression makes small, and kept from swap where that is allowed.
"""

import ctypes
import mmap
import os
import signal
from contextlib import suppress

from workers.chaos.host.crew import together
from workers.chaos.host.memory_room import available_bytes
from workers.chaos.lifeline import stand_by

_STEP_BYTES = 4 * 1024**2  # between two looks at what is left: all of a crew together stay near the floor


def main() -> None:
    """Wait for the word, then take what is wanted, each of the crew its part."""
    size, floor, crew = (int(word) for word in stand_by())
    together(crew, lambda number: take((size * (number + 1)) // crew - (size * number) // crew, floor=floor))


def take(size_bytes: int, *, floor: int) -> None:
    """Fill the memory, ending early where less than `floor` bytes would stay available; hold it for ever."""
    area = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):
        area.madvise(mmap.MADV_HUGEPAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None)
    noise = os.urandom(_STEP_BYTES)
    for place in range(0, size_bytes, _STEP_BYTES):
        if available_bytes() < floor:
            break
        step_bytes = min(_STEP_BYTES, size_bytes - place)
        area[place : place + step_bytes] = noise[:step_bytes]
        libc.mlock(ctypes.c_void_p(start + place), ctypes.c_size_t(step_bytes))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
