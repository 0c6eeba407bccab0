"""Processes of our own that do a fault, say a hog or a crowd of clients: started, told to go, ended.

Each is a session of its own, started before the fault is injected, and waits. It ends when its agent is gone
(the lifeline, its standard input, is closed), when its time is over, or when whoever reverts the fault ends
its whole session. workers/chaos/lifeline.py is the other side.
"""

import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import workers
from workers.chaos.contract import ProcessId, Scene
from workers.chaos.lifeline import GO, READY, TOLD
from workers.chaos.processes import Process, is_alive, look, look_at_all, send, words
from workers.contract.errors import FaultError

STARTS_WITHIN_S = 10.0
"""About 0.1 s on an idle host; a host under load may take its time, a broken one must not hang the phase."""

_PASSED_ON = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")  # where a GPU's driver is found, and which GPUs
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # nft and tc live in sbin
_WORDS_BYTES = 4096
_GONE = "ZXx"


@dataclass(frozen=True, slots=True)
class Own:
    """A process of our own that waits, or works: who it is, and the end of its lifeline that we hold."""

    who: ProcessId
    lifeline: int

    def go(self) -> None:
        """Let it begin. One that is gone is no error here: `verify` will not find its effect."""
        with suppress(OSError):
            os.write(self.lifeline, GO)

    def let_go(self) -> None:
        """Close the lifeline, which ends it if it still runs, and reap it."""
        os.close(self.lifeline)
        with suppress(ChildProcessError):
            os.waitpid(self.who.pid, os.WNOHANG)


def start(module: str, arguments: Sequence[str], *, scene: Scene, told: bytes = b"") -> Own:
    """Run a module of ours with these arguments after `scene.until_s`; return once it says that it waits.

    `told`: what it reads by `lifeline.told()`, through memory alone, so that it may hold secrets. What it
    says to its standard error is in `own.log` of the scene's folder. Raises FaultError, with its words where
    it had any, where it does not wait within STARTS_WITHIN_S.
    """
    letter = _letter(told)
    theirs, ours = os.pipe()
    said, says = os.pipe()
    log = os.open(Path(scene.folder) / "own.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-S", "-m", module, repr(scene.until_s), *arguments],
            clean_environment(),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs, 0),
                (os.POSIX_SPAWN_DUP2, says, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, letter, TOLD),
            ],
            setsid=True,
        )
    except BaseException:
        os.close(ours)
        os.close(said)
        raise
    finally:
        for handle in (theirs, says, log, letter):
            os.close(handle)
    started = look(pid)  # our own child, not reaped: its pid cannot be in use again
    assert started is not None  # noqa: S101
    own = Own(started.identity(), ours)
    try:
        _await_ready(module, said, log=Path(scene.folder) / "own.log")
    except BaseException:
        end([own.who])
        os.close(ours)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(said)
    return own


def end(own: Sequence[ProcessId]) -> None:
    """Kill these processes and all of their sessions; those that are gone are no error."""
    for process in _sessions(own):
        with suppress(FaultError):
            send(process.identity(), SIGKILL)


def left(own: Sequence[ProcessId]) -> str:
    """Say which of these processes, or of their sessions, still run."""
    return "; ".join(f"{words(process.identity())} of our own still runs" for process in _sessions(own))


def clean_environment() -> dict[str, str]:
    """No secrets, and the very code that runs here; with all paths given, `site` need not be loaded (-S)."""
    paths = [*filter(None, sys.path), str(Path(workers.__file__).parents[1])]
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed, "PATH": _PATH, "LC_ALL": "C.UTF-8", "PYTHONPATH": os.pathsep.join(paths)}


def _letter(told: bytes) -> int:
    """A file that is in no folder, to be read from its beginning."""
    handle = os.memfd_create("told")
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(told)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _sessions(own: Sequence[ProcessId]) -> list[Process]:
    """All that lives of the sessions; not that of a later process which got the leader's pid."""
    if not own:
        return []
    everyone = look_at_all()
    leaders = {who.pid: who for who in own}
    return [
        process
        for process in everyone.values()
        if process.state not in _GONE
        and (who := leaders.get(process.session)) is not None
        and (is_alive(who) or _orphaned(process, who, everyone))
    ]


def _orphaned(process: Process, leader: ProcessId, everyone: dict[int, Process]) -> bool:
    """Whether the leader's pid is nobody's now: while its session lives the kernel gives it to none."""
    now = everyone.get(leader.pid)
    return (
        now is None or now.create_time == leader.create_time
    ) and process.create_time >= leader.create_time


def _await_ready(module: str, said: int, *, log: Path) -> None:
    poll = select.poll()
    poll.register(said, select.POLLIN)
    heard = os.read(said, _WORDS_BYTES) if poll.poll(STARTS_WITHIN_S * 1000) else b"it was too slow"
    if heard != READY:
        words_ = heard.decode(errors="replace").strip() or _last_line(log) or "it died"
        raise FaultError(f"{module} did not start: {words_}")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
