"""One engine child as its worker holds it: orders in, words out, and how it ended."""

import logging
import os
import re
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from workers.contract.errors import EngineError
from workers.engine import wire

if TYPE_CHECKING:
    import subprocess

WRITE_WITHIN_S = 5.0
"""For an engine to read an order; one that does not is hung."""
EXIT_WITHIN_S = 2.0
"""From a halt or the last word until the process is gone; then it is killed."""
_SWITCHES = re.compile(rb"^(?:non)?voluntary_ctxt_switches:\s*(\d+)$", re.MULTILINE)
_VMSTAT = Path("/proc/vmstat")
_OOM_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gone:
    """The engine's process has ended, seen at `at_ns` of CLOCK_MONOTONIC; nothing was sent after that.

    `out_of_memory`: processes that the kernel of this host ended for want of memory while it lived.
    """

    code: int
    at_ns: int
    out_of_memory: int = 0

    def words(self) -> str:
        """How it ended, for a person."""
        if self.code >= 0:
            return f"engine exited with code {self.code}"
        said = f"engine exited with signal {-self.code} ({_signal_name(-self.code)})"
        if self.code != -signal.SIGKILL or not self.out_of_memory:
            return said
        return f"{said}: the kernel of its host ran out of memory; give it more, or fewer slots"


Sink = Callable[[wire.FromEngine | Gone], None]


class EngineHandle:
    """One engine process: orders go in, words come out to whoever listens, and at the end `Gone`."""

    def __init__(self, process: "subprocess.Popen[bytes]", changed: Callable[[], None]) -> None:
        self._process, self._changed = process, changed
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._early: list[wire.FromEngine | Gone] = []
        self._sink: Sink | None = None
        self.warm = threading.Event()
        self.gone = threading.Event()
        self.born_s = time.monotonic()
        self._killed_before = killed_for_memory()
        self._ran: tuple[bytes, ...] = ()
        assert process.stdin is not None  # noqa: S101  # asked for at the start
        self._in = process.stdin.fileno()
        os.set_blocking(self._in, False)
        threading.Thread(target=self._read, name=f"engine-{process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def listen(self, sink: Sink) -> None:
        """Hand every word to `sink`, those said already first."""
        with self._lock:
            self._sink = sink
            for word in self._early:
                sink(word)
            self._early.clear()

    def order(self, message: wire.ToEngine) -> None:
        """Write one order. Raises EngineError where the engine is gone or does not read."""
        rest = memoryview(wire.frame(message))
        until_s = time.monotonic() + WRITE_WITHIN_S
        with self._write_lock:
            while rest:
                wait_s = until_s - time.monotonic()
                if self._in < 0:
                    raise EngineError(f"engine {self.pid} is gone and takes no orders")
                if wait_s <= 0 or not select.select([], [self._in], [], wait_s)[1]:
                    raise EngineError(f"engine {self.pid} has not read its orders for {WRITE_WITHIN_S:g} s")
                try:
                    rest = rest[os.write(self._in, rest) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise EngineError(f"engine {self.pid} takes no orders: {error.strerror}") from error

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._process.send_signal(signal.SIGKILL)

    def stirs(self) -> bool:
        """Whether it has run at all since this was asked last; True where that cannot be told.

        It has not where it is stopped, or waits in the kernel for what does not come.
        """
        try:
            switches = _SWITCHES.findall(Path(f"/proc/{self.pid}/status").read_bytes())
            # after the name, which may hold anything: utime and stime are the 12th and 13th
            ticks = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()[11:13]
        except OSError:
            return True
        seen, self._ran = self._ran, (*switches, *ticks)
        return seen != self._ran

    def close(self) -> None:
        """Let an idle engine go by the end of its orders; kill it where it stays."""
        self._close_orders()
        if not self.gone.wait(EXIT_WITHIN_S):
            self.kill()
            self.gone.wait(EXIT_WITHIN_S)

    def _close_orders(self) -> None:
        assert self._process.stdin is not None  # noqa: S101  # asked for at the start
        with self._write_lock:
            self._process.stdin.close()
            self._in = -1

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        with self._process.stdout as out:
            while header := out.read(wire.HEADER.size):
                body = self._body(out.read, header)
                if body is None:
                    break
                try:
                    word: wire.FromEngine = wire.decode_word(body)
                except msgspec.DecodeError:
                    log.exception("engine %d said what cannot be read and is stopped", self.pid)
                    self.kill()
                    break
                self._say(word)
        code = self._process.wait()
        at_ns = time.monotonic_ns()
        self._close_orders()
        self._say(Gone(code, at_ns, killed_for_memory() - self._killed_before))

    def _body(self, read: Callable[[int], bytes], header: bytes) -> bytes | None:
        """The rest of a frame; None where the engine died in the middle of it, or babbles."""
        if len(header) < wire.HEADER.size:
            return None
        (size,) = wire.HEADER.unpack(header)
        if size > wire.MAX_FRAME_BYTES:
            log.error("engine %d sent a frame of %d bytes and is stopped", self.pid, size)
            self.kill()
            return None
        body = read(size)
        return body if len(body) == size else None

    def _say(self, word: wire.FromEngine | Gone) -> None:
        with self._lock:
            if self._sink is None:
                self._early.append(word)
            else:
                self._sink(word)
        if isinstance(word, wire.Warm):
            self.warm.set()
        if isinstance(word, Gone):
            self.gone.set()
        self._changed()


def killed_for_memory() -> int:
    """How many processes the kernel has ended for want of memory since boot, in cgroups too; 0: not told.

    Source: /proc/vmstat, `oom_kill`; of the host, so another container's may be among them.
    """
    try:
        found = _OOM_KILLS.search(_VMSTAT.read_bytes())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
