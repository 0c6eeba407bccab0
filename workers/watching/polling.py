"""Asking sources once a second, each in its own thread, so that one that hangs keeps no other waiting."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from workers.watching.contract import Polled, Source, UnreadError

EVERY_S: Final = 1.0
AFTER_S: Final = 0.002
"""After a whole second, so that a clock that is a little slow does not tell the same one twice."""
ENDS_WITHIN_S: Final = 5.0
"""How long threads may take to end; one that hangs in a look-up of a name dies with the process."""

log = logging.getLogger(__name__)


class Polling:
    """The threads and what they have heard; `clock` is the common one."""

    def __init__(self, sources: Sequence[Source], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: queue.SimpleQueue[Polled] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(source,), name=f"watch {source.name}", daemon=True)
            for source in sources
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def heard(self, timeout_s: float) -> Polled | None:
        """The next second of a source; None where there is none in time."""
        try:
            return self._heard.get(timeout=timeout_s) if timeout_s > 0 else self._heard.get_nowait()
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Ask no more; what was asked is heard out, within bounds."""
        self._stopping.set()
        until = time.monotonic() + ENDS_WITHIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _ask(self, source: Source) -> None:
        while not self._stopping.is_set():
            now_s = self._clock()
            self._heard.put(self._once(source, int(now_s)))
            # at whole seconds, so that a reading belongs to its second; one that took longer is a gap
            self._stopping.wait(EVERY_S - self._clock() % EVERY_S + AFTER_S)

    def _once(self, source: Source, second: int) -> Polled:
        try:
            return Polled(source.name, source.series, second, tuple(source.poll()))
        except UnreadError as error:
            return Polled(source.name, source.series, second, why=str(error))
        except Exception as error:  # a source that breaks must not take the watch with it
            log.exception("%s could not be read", source.name)
            return Polled(source.name, source.series, second, why=f"internal error: {error}")
