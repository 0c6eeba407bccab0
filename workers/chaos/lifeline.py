"""The side of a process of our own: say that it waits, wait for the word, end when it should.

`stand_by` is its first statement. Standard input is the lifeline: GO begins the work, its end ends the
process, whether it works or not; so does its time limit. It cleans nothing up: whoever reverts the fault
undoes what it left.
"""

import os
import select
import signal
import sys
import threading
import time

READY = b"ready\n"
GO = b"go\n"
TOLD = 3
"""The descriptor of what the agent tells it beside its command line, which everybody on the host can read."""

_LOOKS_EVERY_S = 0.5  # a host that sleeps stops poll() but not CLOCK_BOOTTIME


def stand_by() -> list[str]:
    """Say READY, wait for GO, watch the lifeline from then on; return the arguments.

    The first argument of the command line is the time limit, in seconds of CLOCK_BOOTTIME. The process ends
    here where the lifeline ends first, or the time.
    """
    until_s = float(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, READY)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    if _next_word(until_s) != GO:
        os._exit(0)
    threading.Thread(target=_watch, args=(until_s,), daemon=True).start()
    return sys.argv[2:]


def told() -> bytes:
    """Read what the agent tells this process alone; once, before any descriptor is opened."""
    with os.fdopen(TOLD, "rb") as letter:
        return letter.read()


def _watch(until_s: float) -> None:
    while _next_word(until_s):
        pass
    os._exit(0)


def _next_word(until_s: float) -> bytes:
    """What the agent says next; empty where it is gone, or the time is over."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while (rest_s := until_s - time.clock_gettime(time.CLOCK_BOOTTIME)) > 0:
        if poll.poll(min(rest_s, _LOOKS_EVERY_S) * 1000 + 1):
            return os.read(0, len(GO))
    return b""
