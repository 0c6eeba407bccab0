"""Runs one command of an operator's, and ends it when whoever asked for it is gone, or its time is over.

`python -I -S leash.py WITHIN_S LIFELINE_FD NEWS_FD ARGV...`, started by commands.py: a command that its agent
had run itself would go on when the agent is killed, ended by nobody. It runs as a file of its own, with the
command's environment and nothing of ours imported, so that it is there in some 15 ms.

What the command leaves in the background when it ends in time goes on.
"""

import os
import select
import signal
import sys
import time
from contextlib import suppress

LATE = b"late"
REFUSED = b"refused "
ENDED = b"ended "

_LOOKS_EVERY_S = 0.2  # poll() stands still while the host sleeps, and so does its time
_DEFAULTS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ]
_GUARDIANS = "-1000"  # oom_score_adj of a guardian, which is for nobody that it starts


def main(arguments: list[str]) -> None:
    """Run it, and say how it ended."""
    within_s, lifeline, news = float(arguments[0]), int(arguments[1]), int(arguments[2])
    until_s = _boot_s() + within_s
    for handle in (lifeline, news):
        os.set_inheritable(handle, False)
    _as_any_other()
    argv = arguments[3:]
    try:
        # a guardian is deaf to a polite end; what it starts again, say the target, must not be
        pid = os.posix_spawnp(argv[0], argv, os.environ, setsid=True, setsigdef=_DEFAULTS, setsigmask=[])
    except OSError as error:
        os.write(news, REFUSED + os.strerror(error.errno or 0).encode())
        return
    ends = _await(pid, lifeline, until_s)
    if not ends:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):  # whoever asked may be gone
        os.write(news, ENDED + str(code).encode() if ends else LATE)


def _await(pid: int, lifeline: int, until_s: float) -> bool:
    """Whether it ends by itself in time, with somebody there who wants to know."""
    ended = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(lifeline, select.POLLIN)
    while (rest_s := until_s - _boot_s()) > 0:
        ready = [handle for handle, _ in poll.poll(min(rest_s, _LOOKS_EVERY_S) * 1000 + 1)]
        if ready:
            return ended in ready
    return False


def _as_any_other() -> None:
    """Whom a guardian starts is not the last to be ended for memory."""
    place = "/proc/self/oom_score_adj"
    with suppress(OSError):
        with open(place, encoding="ascii") as file:  # noqa: PTH123
            here = file.read().strip()
        if here == _GUARDIANS:
            with open(place, "w", encoding="ascii") as file:  # noqa: PTH123
                file.write("0")


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    main(sys.argv[1:])
