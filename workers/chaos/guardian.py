"""The guardian: a process of its own that undoes a fault when its agent no longer can.

`python -m workers.chaos.guardian ENTRY AGENT_FD STATUS_FD`, started by arm.py. It waits for the first of: the
agent closes its pipe or writes to it, the agent's process ends (though a child inherited the pipe), the
deadline of the ledger's entry on CLOCK_BOOTTIME. Then, if the entry is still open, it reverts, looks that
nothing is left, and records it. It survives its agent (double fork, a session of its own, SIGTERM, SIGINT and
SIGHUP ignored) and always ends by itself.
"""

import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from workers.chaos.contract import build
from workers.chaos.ledger import Entry, finish, latest, put_back, read, recorded, write
from workers.chaos.processes import boot_s, is_alive
from workers.contract.errors import ShakeoutWorkerError

READY = b"ready\n"
TIME_IS_OVER = "time limit"
GIVES_UP_AFTER_S = 600.0
"""Of retrying; the entry then stays open for the next start of the worker."""

_LAST_TO_GO = "-1000"
_LOOKS_EVERY_S = 0.25  # the deadline may be set anew, and poll() stands still while the host sleeps
_RETRIES_FIRST_AFTER_S = 0.25
_RETRIES_AT_LEAST_EVERY_S = 10.0


def main(arguments: list[str]) -> int:
    """Go into the background and guard one entry; 0 once it is undone, 1 where that had to be given up."""
    path, agent_fd, status_fd = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork():
        os._exit(0)  # the agent reaps this half; the other half is init's child from now on
    os.chdir("/")
    _last_to_go()
    try:
        entry = read(path)
        if entry is None:
            return 0
        build(entry.fault, entry.options)  # now, so that nothing is left to be loaded in an emergency
        _say(status_fd, READY)
        _leave_terminal()
    except ShakeoutWorkerError as error:
        _say(status_fd, str(error).encode())
        return 1
    why = _watch(path, entry, agent_fd)
    if not _undo(path, entry, why):
        return 1
    os.close(status_fd)  # the agent has to see now that the fault is over
    return 0 if why != TIME_IS_OVER or _outlast(path, entry) else 1


def _watch(path: Path, entry: Entry, agent_fd: int) -> str:
    """Wait until something has to be done; say what happened."""
    poll = select.poll()
    poll.register(agent_fd, select.POLLIN)
    agent_handle = _handle(entry)
    if agent_handle is None:
        return "the agent was gone"
    poll.register(agent_handle, select.POLLIN)
    while True:
        now = latest(path, entry)  # the agent sets the deadline anew as it injects
        if now is None:
            return "told to"
        entry = now
        rest_s = entry.deadline_s - boot_s()
        if rest_s <= 0:
            return TIME_IS_OVER
        for ready, _ in poll.poll(min(rest_s, _LOOKS_EVERY_S) * 1000 + 1):
            told = ready == agent_fd and os.read(ready, 1)
            return "told to" if told else "the agent was gone"


def _handle(entry: Entry) -> int | None:
    """Open the agent's pidfd; None where the agent is gone."""
    try:
        handle = os.pidfd_open(entry.agent.pid)
    except OSError:
        return None
    return handle if is_alive(entry.agent) else None


def _undo(path: Path, entry: Entry, why: str) -> bool:
    """Revert until it is clean or too late; whether it is clean."""
    until_s, wait_s = boot_s() + GIVES_UP_AFTER_S, _RETRIES_FIRST_AFTER_S
    while boot_s() < until_s:
        now = latest(path, entry)
        if now is None:
            return True
        undone = put_back(now)
        if not undone.left:
            with suppress(ShakeoutWorkerError):  # the target runs, but the disk refuses the record: try again
                finish(path, by="guardian", undone=undone, why=why)
                return True
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _RETRIES_AT_LEAST_EVERY_S)
    return False


def _outlast(path: Path, entry: Entry) -> bool:
    """Stay until a held-up agent has seen the revert or is gone: in between it may inject late, and die.

    Whoever collects the record has seen it. Of an agent that ends without, the fault is put back once more.
    """
    until_s = boot_s() + GIVES_UP_AFTER_S
    while ((done := recorded(path)) or path.exists()) and boot_s() < until_s:
        if is_alive(entry.agent):
            time.sleep(_LOOKS_EVERY_S)
            continue
        if done and not put_back(replace(done, began=True)).left and not path.exists():
            return True
        if done and not path.exists():
            write(path, done)
        return _undo(path, entry, "the agent was gone")
    return True


def _leave_terminal() -> None:
    """Let go of the agent's stderr, which somebody may be reading to its end."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _last_to_go() -> None:
    """Whoever has to be ended for memory, let it not be who reverts the fault, if the kernel permits it.

    Source: man 5 proc, oom_score_adj.
    """
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(_LAST_TO_GO)


def _say(status_fd: int, words: bytes) -> None:
    with suppress(OSError):  # the agent may be gone already; then the pipe says so
        os.write(status_fd, words)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
