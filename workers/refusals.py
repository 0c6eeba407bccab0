"""What this worker did not believe: tasks, halts and resumes, counted for its card and told in its log."""

import logging
import threading

log = logging.getLogger(__name__)


class Refusals:
    """How many there were in this life, and why the last one was; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._why = ""

    def add(self, why: str) -> None:
        """One more, and why."""
        log.warning("%s", why)
        with self._lock:
            self._count += 1
            self._why = why

    def so_far(self) -> tuple[int, str]:
        """The count, and the last reason."""
        with self._lock:
            return self._count, self._why
