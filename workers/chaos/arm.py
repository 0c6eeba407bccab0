"""The agent's side of its guardian: start it, see that it lives, let it go."""

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from workers.chaos.guardian import READY
from workers.chaos.own import STARTS_WITHIN_S, clean_environment
from workers.contract.errors import FaultError

ENDS_WITHIN_S = 5.0

_WORDS_BYTES = 4096
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Armed:
    """A guardian that watches: the write end of the agent's pipe, the read end of the guardian's status."""

    agent_fd: int
    status_fd: int

    def lives(self) -> bool:
        """Whether the guardian still watches; it holds the other end of its status pipe until it exits."""
        return not _readable(self.status_fd, 0.0)

    def stand_down(self) -> bool:
        """Let the guardian go, nothing being open in the ledger; whether it ended within ENDS_WITHIN_S."""
        os.close(self.agent_fd)
        ended = _readable(self.status_fd, ENDS_WITHIN_S)
        os.close(self.status_fd)
        return ended

    def hand_over(self) -> None:
        """Leave what is open in the ledger to the guardian, and do not wait for it."""
        os.close(self.agent_fd)
        os.close(self.status_fd)


def arm(entry: Path, *, secrets: Mapping[str, str] = _NONE) -> Armed:
    """Start a guardian for an entry that stands in the ledger, and wait until it watches.

    `secrets`: variables of the environment that its fault refers to; the guardian has no others.
    Raises FaultError, with its own words where it had any, where it does not within STARTS_WITHIN_S.
    """
    agent_read, agent_write = (
        os.pipe()
    )  # all four ends are closed on exec, but for the two that are passed on
    status_read, status_write = os.pipe()
    try:
        try:
            _start(entry, agent_read, status_write, secrets=secrets)
        finally:
            os.close(agent_read)
            os.close(status_write)
        _await_ready(entry, status_read)
    except BaseException:
        os.close(agent_write)
        os.close(status_read)
        raise
    return Armed(agent_write, status_read)


def _await_ready(entry: Path, status_fd: int) -> None:
    words = os.read(status_fd, _WORDS_BYTES) if _readable(status_fd, STARTS_WITHIN_S) else b"too slow"
    if words != READY:
        said = words.decode(errors="replace") or "it died"
        raise FaultError(f"guardian of {entry.name} did not start: {said}")


def _start(entry: Path, agent_fd: int, status_fd: int, *, secrets: Mapping[str, str]) -> None:
    """Run the first half, which leaves the second in the background."""
    module = ("-P", "-S", "-m", "workers.chaos.guardian")
    try:
        subprocess.run(
            [sys.executable, *module, str(entry.absolute()), str(agent_fd), str(status_fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**secrets, **clean_environment()},
            pass_fds=(agent_fd, status_fd),
            start_new_session=True,
            check=True,
            timeout=STARTS_WITHIN_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FaultError(f"guardian of {entry.name} did not start: {error}") from error


def _readable(handle: int, timeout_s: float) -> bool:
    """Whether there is something to read, or the other end is closed."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
