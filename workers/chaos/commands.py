"""Run a command of the host's, or of its operator's: bounded in time and words, ended with all it started."""

import math
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workers.chaos import leash
from workers.contract.errors import FaultError

if TYPE_CHECKING:
    import subprocess

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""nft and tc live in sbin, which not every service has in its own."""
BARE: Final[Mapping[str, str]] = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
MOST_SHOWN: Final = 300
"""Characters of what a command said that go into a message."""

_MOST_KEPT_BYTES: Final = 64 * 1024  # the rest is read and forgotten, so that nobody waits on a full pipe
_LEASH: Final = leash.__file__
_LEASH_WITHIN_S: Final = 5.0  # to start, on a host under load; 15 ms on an idle one
_WORDS_BYTES: Final = 4096
_LEASH_ENDS_WITHIN_S: Final = 1.0
_LOOKS_EVERY_MS: Final = 200  # poll() stands still while the host sleeps, and so does its time


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended. `code`: its exit code, minus a signal's number, or None: it took too long.

    `output`: the end of what it said, to stdout and stderr together.
    """

    code: int | None
    output: str

    def words(self) -> str:
        """How it ended, for a person, with the end of what it said."""
        how = "took too long and was ended" if self.code is None else f"ended with {self.code}"
        if self.code is not None and self.code < 0:
            how = f"was ended by {signal.Signals(-self.code).name}"
        said = excerpt(self.output)
        return f"{how}: {said}" if said else how


def run(
    argv: Sequence[str], *, within_s: float, environment: Mapping[str, str] = BARE, told: bytes = b""
) -> Ran:
    """Run a command in a session of its own, with `told` as its standard input, and wait for its end.

    What it leaves in the background when it ends in time goes on. Where it does not end within `within_s` its
    whole process group is killed. Raises FaultError where it cannot be started.
    """
    with _start(argv, environment, told=told, own_session=True) as process:
        return _to_its_end(process, within_s)


def run_leashed(argv: Sequence[str], *, within_s: float, environment: Mapping[str, str] = BARE) -> Ran:
    """As `run`, for commands that are not ours: it is ended, too, when this process is, however that ends.

    It sees the signals and the standing with the kernel of any other process, be it a guardian that asks.
    """
    theirs, lifeline = os.pipe()
    news, says = os.pipe()
    words = (sys.executable, "-I", "-S", _LEASH, repr(within_s), str(theirs), str(says), *argv)
    try:
        try:
            process = _start(words, environment, told=b"", own_session=True, passed=(theirs, says))
        finally:
            os.close(theirs)
            os.close(says)
        with process:
            ran = _to_its_end(process, within_s + _LEASH_WITHIN_S, lifeline=lifeline)
        said = os.read(news, _WORDS_BYTES) if ran.code == 0 else b""
    finally:
        os.close(lifeline)
        os.close(news)
    return _by_news(argv[0], said, ran)


def _by_news(program: str, said: bytes, ran: Ran) -> Ran:
    """How the command ended, by its leash; by the leash's own end where that said nothing."""
    if said.startswith(leash.REFUSED):
        raise FaultError(f"{program} cannot be run: {said.removeprefix(leash.REFUSED).decode()}")
    if said == leash.LATE:
        return Ran(None, ran.output)
    return Ran(int(said.removeprefix(leash.ENDED)), ran.output) if said else ran


def run_along(argv: Sequence[str], *, environment: Mapping[str, str], told: bytes = b"") -> Ran:
    """Run a command in this very session, to be ended with it, for as long as it takes. Raises FaultError."""
    with _start(argv, environment, told=told, own_session=False) as process:
        return _to_its_end(process, math.inf)


def excerpt(output: str) -> str:
    """The end of what a command said, on one line."""
    line = " · ".join(filter(None, (part.strip() for part in output.splitlines())))
    shown = "".join(letter if letter.isprintable() else "?" for letter in line)
    return shown if len(shown) <= MOST_SHOWN else f"... {shown[-MOST_SHOWN:]}"


def _start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    told: bytes,
    own_session: bool,
    passed: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    import subprocess  # noqa: PLC0415  # a guardian starts in milliseconds, and few of them need it

    with os.fdopen(os.memfd_create("told"), "w+b") as letter:
        letter.write(told)
        letter.seek(0)
        try:
            return subprocess.Popen(
                argv, stdin=letter, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
                env=dict(environment), start_new_session=own_session, pass_fds=passed,
            )  # fmt: skip
        except OSError as error:
            raise FaultError(f"{argv[0]} cannot be run: {error.strerror}") from error


def _to_its_end(process: "subprocess.Popen[bytes]", within_s: float, *, lifeline: int | None = None) -> Ran:
    """Wait for its end, then kill it; `lifeline`: of its leash, which is cut first and given a moment."""
    import subprocess  # noqa: PLC0415

    assert process.stdout is not None  # noqa: S101  # asked for
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    until_s = time.clock_gettime(time.CLOCK_BOOTTIME) + within_s
    handle = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.register(pipe, select.POLLIN)
        kept, open_, late = b"", True, False
        while not late:
            rest_s = until_s - time.clock_gettime(time.CLOCK_BOOTTIME)
            wait_ms = min(max(rest_s * 1000, 0), _LOOKS_EVERY_MS)
            ready = {descriptor for descriptor, _ in poll.poll(wait_ms)}
            if open_:
                kept, open_ = _heard(pipe, kept)
                if not open_:
                    poll.unregister(pipe)
            if handle in ready:
                break
            late = rest_s <= 0
    finally:
        os.close(handle)
    if late:
        if lifeline is not None:
            os.write(lifeline, b"end")
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LEASH_ENDS_WITHIN_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    kept = _heard(pipe, kept)[0] if open_ else kept
    return Ran(None if late else code, kept.decode("utf-8", "replace"))


def _heard(pipe: int, kept: bytes) -> tuple[bytes, bool]:
    """All that can be read now, after what was kept; whether anybody may still write."""
    while True:
        try:
            chunk = os.read(pipe, _MOST_KEPT_BYTES)
        except BlockingIOError:
            return kept, True
        if not chunk:
            return kept, False
        kept = (kept + chunk)[-_MOST_KEPT_BYTES:]
