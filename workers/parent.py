"""A life bound to the parent's: no worker, engine or demo target outlives the process that started it."""

import ctypes
import os
import signal

FLAG = "--die-with-parent"
PR_SET_PDEATHSIG = 1


def asked(argv: list[str]) -> tuple[bool, int | None]:
    """Whether `argv` holds the flag, and the parent's pid if it was given as `--die-with-parent=PID`.

    Read by hand because the signal is set before anything else, argparse included, is imported.
    Raises ValueError where PID is no number.
    """
    for word in argv:
        if word == FLAG:
            return True, None
        if word.startswith(FLAG + "="):
            return True, int(word.removeprefix(FLAG + "="))
    return False, None


def bind(expected_pid: int | None) -> bool:
    """Ask the kernel to kill this process when its parent dies; False if the parent has died already.

    A parent that died before the signal was set is seen by comparing getppid before and after, and by
    `expected_pid` where the parent told its own. The signal follows the parent's *thread* that spawned
    this process (prctl(2)). Raises OSError if the kernel refuses.
    """
    before = os.getppid() if expected_pid is None else expected_pid
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    return os.getppid() == before
