"""One after another: where a revert takes longer than a moment, two processes may be at the same one."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from workers.chaos.contract import Scene
from workers.chaos.processes import boot_s

_TRIES_EVERY_S = 0.01


@contextmanager
def in_turn(scene: Scene, *, within_s: float) -> Iterator[None]:
    """Wait until nobody else reverts this fault, for at most `within_s`: who takes longer has been stopped.

    The lock is on the ledger's own entry, so that nothing is left; the kernel lets go where its holder dies.
    Where the entry is closed nobody else reverts.
    """
    try:
        handle = os.open(f"{scene.folder}.json", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        _await(handle, until_s=boot_s() + within_s)
        yield
    finally:
        os.close(handle)


def _await(handle: int, *, until_s: float) -> None:
    while boot_s() < until_s:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_TRIES_EVERY_S)
        else:
            return
