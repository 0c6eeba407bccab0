"""What Flower's task list shows of running attempts, once a second, and what it keeps of each at its end.

A thread of its own says only the latest words, for an event may block while Redis hangs.
"""

import itertools
import logging
import threading
from collections.abc import Callable

SAY_EVERY_S = 1.0
SAY_AGAIN = 10
"""Old words are said again after so many seconds: for a Flower that came late, and as a sign of life."""
PREPARING = "preparing"

log = logging.getLogger(__name__)


class Progress:
    """The latest words of each running task. `send` takes a task's id and words; what it raises is logged."""

    def __init__(self, send: Callable[[str, str], None]) -> None:
        self._send = send
        self._latest: dict[str, str] = {}
        self._unsaid: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to say."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is unsaid stays so."""
        self._closing.set()

    def begin(self, task_id: str) -> bool:
        """This task runs from now on; False where it does already: a repeat must not end it in Flower."""
        with self._lock:
            fresh = task_id not in self._latest
            self._latest.setdefault(task_id, "")
            return fresh

    def show(self, task_id: str, words: str) -> None:
        """Replace the words of a task that runs; never blocks."""
        with self._lock:
            if self._latest.get(task_id, words) != words:
                self._latest[task_id] = self._unsaid[task_id] = words

    def end(self, task_id: str) -> str:
        """The attempt is over: nothing more is said of it. Its last words, "" where there were none."""
        with self._lock:
            self._unsaid.pop(task_id, None)
            return self._latest.pop(task_id, "")

    def _run(self) -> None:
        for second in itertools.count(1):
            if self._closing.wait(SAY_EVERY_S):
                return
            with self._lock:
                due, self._unsaid = self._unsaid, {}
                if second % SAY_AGAIN == 0:
                    due = dict(self._latest)
            for task_id, words in due.items():
                try:
                    if task_id in self._latest:
                        self._send(task_id, words or PREPARING)
                except Exception as error:  # noqa: BLE001  # kombu raises whatever its transport does
                    log.debug("progress not said: %s", error)
