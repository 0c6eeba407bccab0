"""The processes of an embedded fleet: started, started again where they die, ended, and what they said last.

Every process dies with this one, even if it is killed: each has its parent-death signal, and engines have
theirs.
"""

import ctypes
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from orchestrator.errors import ShakeoutError
from orchestrator.leftovers import clear
from workers.contract.signed.signing import Key, Keys

READY_WITHIN_S = 30.0
"""Workers import Celery and warm their engines: 3 s here, more on a busy machine."""
STOP_WITHIN_S = 8.0
MOST_RESTARTS = 10
PROBE_EVERY_S = 1.0
SPACE_BYTES = 1024 * 1024
"""A run needs more; a disk with less room than this when a run begins is full for our purposes."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class FleetError(ShakeoutError):
    """A part of the embedded fleet could not be started; says which, and what it printed last."""


@dataclass(slots=True)
class Part:
    """One process of the fleet; `start` begins it again after it died."""

    name: str
    start: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes]"
    restarts: int = 0


@dataclass(slots=True)
class Fleet:
    """`broker`: address with password. `keys`: made for this run. `urls`: demo target -> its url.

    `parts` in the order of their start. `check` is called while a part is waited for, and raises to end that.
    """

    work: Path
    broker: str = field(default="", repr=False)
    keys: Keys = field(default_factory=lambda: Keys((Key(secrets.token_hex(32), "run"),)))
    urls: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    check: Callable[[], None] = lambda: None
    probed_at: float = 0.0

    def hopeless(self) -> str:
        """Why the fleet cannot go on, in words: its disk is full, a part dies again and again.

        Empty if it can.
        """
        if time.monotonic() - self.probed_at >= PROBE_EVERY_S:
            self.probed_at = time.monotonic()
            why = unwritable(self.work)
            if why:
                return f"nothing can be written to {self.work.parent} any more: {why}"
        for part in self.parts:
            if part.restarts >= MOST_RESTARTS and part.process.poll() is not None:
                said = last_words(self, part.name)
                return f"{part.name} died {part.restarts + 1} times; the last time it said: {said}"
        return ""

    def tend(self) -> list[str]:
        """Start again what died (never the target: that is the campaign's business); says what it did."""
        said: list[str] = []
        for part in self.parts:
            code = part.process.poll()
            if code is None or part.name.startswith("demo target") or part.restarts >= MOST_RESTARTS:
                continue
            part.restarts += 1
            part.process = part.start()
            said.append(f"{part.name} died ({_how(code)}) and was started again")
        return said

    def stop(self) -> tuple[Path, ...]:
        """End every process, the last started first: asked to, then killed; what stays: as `clear`."""
        for part in reversed(self.parts):
            if part.process.poll() is None:
                part.process.terminate()
        until = time.monotonic() + STOP_WITHIN_S
        for part in reversed(self.parts):
            try:
                part.process.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()
        return clear(self.work)

    def kill(self) -> tuple[Path, ...]:
        """End every process at once; what stays: as `clear`."""
        for part in reversed(self.parts):
            if part.process.poll() is None:
                part.process.kill()
                part.process.wait()
        return clear(self.work)


def start_part(
    fleet: Fleet, name: str, argv: Sequence[str], environment: Mapping[str, str], *, stdin: str = ""
) -> Part:
    """Start one process in a session of its own: a terminal's Ctrl-C reaches only us, who stop in order."""

    def begin() -> "subprocess.Popen[bytes]":
        with log_file(fleet, name).open("ab") as log:
            return _spawn(argv, environment, stdin=stdin, log=log)

    part = Part(name, begin, begin())
    fleet.parts.append(part)
    return part


def waiting(fleet: Fleet) -> Iterator[None]:
    """Once every 10 ms, as long as a part may take to be ready; raises what `fleet.check` raises."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        fleet.check()
        yield
        time.sleep(0.01)


def unwritable(folder: Path, *, size_bytes: int = 4096) -> str:
    """Why so many bytes cannot be written there, in the system's words; empty where they can."""
    probe = folder / ".probe"
    try:
        probe.write_bytes(b"0" * size_bytes)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return ""


def log_file(fleet: Fleet, name: str) -> Path:
    """Where a part prints to."""
    return fleet.work / f"{name.replace(' ', '-')}.log"


def last_words(fleet: Fleet, name: str) -> str:
    """The last lines that a part printed, for an error."""
    log = log_file(fleet, name)
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " / ".join(lines[-3:]) or "it printed nothing"


def _spawn(
    argv: Sequence[str], environment: Mapping[str, str], *, stdin: str, log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  # this process has one thread while it starts others
    )
    if process.stdin is not None:
        process.stdin.write(stdin.encode())
        process.stdin.close()
    return process


def _die_with_parent() -> None:
    """In the child, before exec: be killed when the thread that started us ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
