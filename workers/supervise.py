"""The engine children: kept warm, started, watched and stopped.

One supervisor thread starts them all, for the parent-death signal is tied to the *thread* that spawned the
child. A warm engine is imported and idle, serves one attempt and is replaced once no load runs here, one
after another.
"""

import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from workers.contract.errors import EngineError
from workers.engine import wire

START_WITHIN_S = 10.0
"""For spawning a process, imports not included."""
WARM_WITHIN_S = 30.0
"""For an engine's imports on a busy machine; 0.4 to 1 s alone."""
WRITE_WITHIN_S = 5.0
"""For an engine to read an order; one that does not is hung."""
EXIT_WITHIN_S = 2.0
"""From a halt or the last word until the process is gone; then it is killed."""
RETRY_WARM_S = 5.0
"""After an engine died while warming up."""
_LOOK_EVERY_S = 0.5
_NOT_FOR_ENGINES = ("SHAKEOUT_BROKER", "SHAKEOUT_SIGNING_KEY")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gone:
    """The engine's process has ended, seen at `at_ns` of CLOCK_MONOTONIC; nothing was sent after that."""

    code: int
    at_ns: int

    def words(self) -> str:
        """How it ended, for a person."""
        if self.code < 0:
            return f"engine exited with signal {-self.code}"
        return f"engine exited with code {self.code}"


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
        self._say(Gone(code, at_ns))

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


class Supervisor:
    """Owner of all engines of this worker; `keep` idle ones are kept warm."""

    def __init__(self, *, keep: int, environment: Mapping[str, str]) -> None:
        self._keep = keep
        self._environment = {key: value for key, value in environment.items() if key not in _NOT_FOR_ENGINES}
        self._idle: list[EngineHandle] = []
        self._busy: set[EngineHandle] = set()
        self._asked = 0
        self._spawned: list[EngineHandle] = []
        self._warm_after_s = 0.0
        self._closing = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to warm engines up."""
        self._thread.start()

    def acquire(self) -> EngineHandle:
        """An engine for one attempt: a warm one, else a new one. Raises EngineError where none starts."""
        with self._news:
            engine = next((idle for idle in self._idle if not idle.gone.is_set()), None)
            if engine is not None:
                self._idle.remove(engine)
            else:
                self._asked += 1
                self._news.notify_all()
                if not self._news.wait_for(lambda: self._spawned or self._closing, START_WITHIN_S):
                    self._asked = max(0, self._asked - 1)
                    raise EngineError(f"no engine could be started within {START_WITHIN_S:g} s")
                if not self._spawned:
                    raise EngineError("the worker is closing")
                engine = self._spawned.pop()
            self._busy.add(engine)
            return engine

    def release(self, engine: EngineHandle) -> None:
        """The attempt is over: see to it that its engine is gone, then replace it when no load runs."""
        if not engine.gone.wait(EXIT_WITHIN_S):
            engine.kill()
            engine.gone.wait(EXIT_WITHIN_S)
        with self._news:
            self._busy.discard(engine)
            self._news.notify_all()

    def close(self) -> None:
        """Let all engines go."""
        with self._news:
            self._closing = True
            self._news.notify_all()
            left = [*self._idle, *self._busy, *self._spawned]
        for engine in left:
            engine.close()
        self._thread.join(EXIT_WITHIN_S)

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(
                    lambda: self._closing or self._asked > 0 or self._wants_warm(), _LOOK_EVERY_S
                )
                if self._closing:
                    return
                asked = self._asked > 0
                if not asked and not self._wants_warm():
                    continue
            engine = self._spawn()
            with self._news:
                if asked:
                    self._asked -= 1
                    self._spawned.append(engine)
                else:
                    self._idle.append(engine)
                self._news.notify_all()

    def _wants_warm(self) -> bool:
        """Whether one more engine should warm up now: none is warming, no load runs that it would disturb."""
        now_s = time.monotonic()
        for idle in list(self._idle):
            stuck = not idle.warm.is_set() and now_s - idle.born_s > WARM_WITHIN_S
            if stuck:
                idle.kill()
            if idle.gone.is_set() or stuck:
                log.error("an idle engine (pid %d) has died", idle.pid)
                self._idle.remove(idle)
                self._warm_after_s = now_s + RETRY_WARM_S
        warming = any(not idle.warm.is_set() for idle in self._idle)
        quiet = not self._busy and not self._spawned and now_s >= self._warm_after_s
        return quiet and not warming and len(self._idle) < self._keep

    def _spawn(self) -> EngineHandle:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.engine", "--parent", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
        )
        return EngineHandle(process, self._wake)

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()
