"""The engine children: kept warm, started, watched and stopped.

One supervisor thread starts them all, for the parent-death signal is tied to the *thread* that spawned the
child. A warm engine is imported and idle, serves one attempt and is replaced once no load runs here, one
after another.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from workers.contract.errors import EngineError, HostError
from workers.engine_process import EXIT_WITHIN_S, EngineHandle

START_WITHIN_S = 10.0
"""For spawning a process, imports not included."""
WARM_WITHIN_S = 30.0
"""For an engine's imports on a busy machine; 0.4 to 1 s alone."""
RETRY_WARM_S = 5.0
"""After an engine died while warming up."""
AGAIN_AFTER_S = 0.2
"""After a process could not be started at all."""
_LOOK_EVERY_S = 0.5
_NOT_FOR_ENGINES = ("SHAKEOUT_BROKER", "SHAKEOUT_SIGNING_KEY")

log = logging.getLogger(__name__)


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
        self._why = ""
        self._closing = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to warm engines up."""
        self._thread.start()

    def acquire(self) -> EngineHandle:
        """An engine for one attempt: a warm one, else a new one. Raises HostError where none starts."""
        with self._news:
            engine = next((idle for idle in self._idle if not idle.gone.is_set()), None)
            if engine is not None:
                self._idle.remove(engine)
            else:
                self._asked += 1
                self._news.notify_all()
                if not self._news.wait_for(lambda: self._spawned or self._closing, START_WITHIN_S):
                    self._asked = max(0, self._asked - 1)
                    raise HostError(f"no engine could be started within {START_WITHIN_S:g} s{self._why}")
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

    def at_work(self) -> int:
        """How many engines have attempts to do."""
        with self._news:
            return len(self._busy)

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
                if not self._asked and not self._wants_warm():
                    continue
            try:
                engine = self._spawn()
            except (OSError, RuntimeError) as error:  # no more processes, memory, files or threads
                self._failed(error)
                continue
            with self._news:
                self._why = ""
                if self._asked:
                    self._asked -= 1
                    self._spawned.append(engine)
                else:
                    self._idle.append(engine)
                self._news.notify_all()

    def _failed(self, error: OSError | RuntimeError) -> None:
        """What runs goes on; whoever asks meanwhile is told why there is no engine for it."""
        why = f": {getattr(error, 'strerror', None) or error}"
        with self._news:
            if why != self._why:
                log.error("an engine cannot be started%s", why)
            self._why = why
            self._warm_after_s = time.monotonic() + RETRY_WARM_S
            self._news.wait_for(lambda: self._closing, AGAIN_AFTER_S)

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
        try:
            return EngineHandle(process, self._wake)
        except RuntimeError:  # no thread to hear it
            process.kill()
            process.wait()
            raise

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()
