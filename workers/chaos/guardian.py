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

from workers.chaos.contract import build
from workers.chaos.ledger import Entry, finish, latest, put_back, read
from workers.chaos.processes import boot_s, is_alive
from workers.contract.errors import ShakeoutWorkerError

READY = b"ready\n"
GIVES_UP_AFTER_S = 600.0
"""Of retrying; the entry then stays open for the next start of the worker."""

_LOOKS_EVERY_S = 1.0  # poll() stands still while the host sleeps and CLOCK_BOOTTIME does not: look again
_RETRIES_EVERY_S = 0.25


def main(arguments: list[str]) -> int:
    """Go into the background and guard one entry; 0 once it is undone, 1 where that had to be given up."""
    path, agent_fd, status_fd = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork():
        os._exit(0)  # the agent reaps this half; the other half is init's child from now on
    os.chdir("/")
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
    return 0 if _undo(path, entry, why) else 1


def _watch(path: Path, entry: Entry, agent_fd: int) -> str:
    """Wait until something has to be done; say what happened."""
    poll = select.poll()
    poll.register(agent_fd, select.POLLIN)
    agent_handle = _handle(entry)
    if agent_handle is None:
        return "the agent was gone"
    poll.register(agent_handle, select.POLLIN)
    while True:
        rest_s = entry.deadline_s - boot_s()
        if rest_s <= 0:
            now = latest(path, entry)
            if now is None or now.deadline_s <= boot_s():
                return "time limit"
            entry = now  # the agent sets the deadline anew as it injects
            continue
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
    until_s = boot_s() + GIVES_UP_AFTER_S
    while boot_s() < until_s:
        now = latest(path, entry)
        if now is None:
            return True
        undone = put_back(now)
        if not undone.left:
            with suppress(ShakeoutWorkerError):  # the target runs, but the disk refuses the record: try again
                finish(path, by="guardian", reverted_s=undone.at_s, why=why)
                return True
        time.sleep(_RETRIES_EVERY_S)
    return False


def _leave_terminal() -> None:
    """Let go of the agent's stderr, which somebody may be reading to its end."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _say(status_fd: int, words: bytes) -> None:
    with suppress(OSError):  # the agent may be gone already; then the pipe says so
        os.write(status_fd, words)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
