"""A crew: what a process of our own forks to work side by side; it never outlives its leader.

The leader has called `stand_by` and goes on to watch its lifeline; the kernel kills each of the crew the
moment that the leader is gone. All of them ask the kernel to be the first to go where memory is short.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_FIRST_TO_GO = "1000"  # man 5 proc, oom_score_adj


def together(count: int, work: Callable[[int], None]) -> NoReturn:
    """Let `count` processes do `work(number)` side by side, and wait for the end of this one."""
    first_to_go()
    leader = os.getpid()
    for number in range(count):
        if os.fork() == 0:
            _work(work, number, leader=leader)
    while True:
        signal.pause()


def die_with(leader: int) -> None:
    """Have this process killed when its leader ends; end it now where that has happened already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != leader:
        os._exit(0)


def first_to_go() -> None:
    """Offer this process, and its children to come, to the kernel's out-of-memory killer."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(_FIRST_TO_GO)


def _work(work: Callable[[int], None], number: int, *, leader: int) -> NoReturn:
    try:
        die_with(leader)
        work(number)
    except BaseException:  # noqa: BLE001  # a fork must not run on into the leader's code
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
