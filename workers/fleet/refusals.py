"""What this worker did not believe: tasks, halts and resumes, counted for its card and told in its log."""

import logging
import threading
import time
from typing import Final

TOLD_FOR_S: Final = 600.0
"""How long the last one stands on the card: as long as `workers` lists who is gone; the log has them all."""
log = logging.getLogger(__name__)


class Refusals:
    """How many there were lately, and why the last one was; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._why = ""
        self._last_s = 0.0

    def add(self, why: str) -> None:
        """One more, and why."""
        log.warning("%s", why)
        with self._lock:
            self._count += 1
            self._why = why
            self._last_s = time.monotonic()

    def so_far(self) -> tuple[int, str]:
        """The count, and the last reason; 0 and "" where the last one was long ago."""
        with self._lock:
            if self._count and time.monotonic() - self._last_s > TOLD_FOR_S:
                self._count, self._why = 0, ""
            return self._count, self._why
