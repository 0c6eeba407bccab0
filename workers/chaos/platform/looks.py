"""A look that takes its time: done in the background again and again, so that nobody who asks has to wait."""

import threading
from collections.abc import Callable
from typing import Final

from workers.chaos.processes import boot_s
from workers.contract.errors import ShakeoutWorkerError

FIRST_EVERY_S: Final = 0.1
"""Until the effect is seen."""


class Looks:
    """The last answer to a question that is asked in a thread of its own, one at a time."""

    def __init__(self, look: Callable[[], str], *, every_s: float, what: str) -> None:
        """`look` returns what is wrong, empty where nothing is; it is bounded in time. `what`: its name."""
        self._look, self._every_s = look, every_s
        self._thread: threading.Thread | None = None
        self._begun_s = 0.0
        self.said = f"{what} has not answered yet"

    def now(self) -> str:
        """The last answer; begin the next look where it is due."""
        due_s = self._begun_s + (self._every_s if not self.said else FIRST_EVERY_S)
        if boot_s() >= due_s and (self._thread is None or not self._thread.is_alive()):
            self._begun_s = boot_s()
            self._thread = threading.Thread(target=self._ask, name="fault-looks", daemon=True)
            self._thread.start()
        return self.said

    def _ask(self) -> None:
        try:
            self.said = self._look()
        except ShakeoutWorkerError as error:
            self.said = str(error)
