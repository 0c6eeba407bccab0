"""Stop a computation that may not end: a pattern that backtracks would stall every request of the engine.

The limit is on CPU time of this process (ITIMER_VIRTUAL), so a busy machine does not shorten it. Signals
reach only the main thread, which is where an engine judges; in any other thread there is no limit.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MAX_MATCH_S = 1.0
"""CPU seconds for one field of one case: a thousand times what a sane pattern needs on 1 MiB."""


class CpuLimitError(Exception):
    """The computation used up its CPU time; never leaves this package."""


@contextmanager
def cpu_limit(limit_s: float) -> Iterator[None]:
    """Raise CpuLimitError inside the block once this process has used `limit_s` seconds of CPU in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise CpuLimitError
