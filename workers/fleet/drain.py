"""How a worker leaves: asked once by a signal or an operator's order, in order; asked again, at once.

In order means: its loads go on until the leader has a successor ready for each, which takes over without a
gap. All of it is bounded: whoever waits for a worker to end knows until when.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

DRAIN_WITHIN_S = 10.0
"""For a successor to be placed, its engine to start (3 s on a busy host) and the leader to say so."""
LAST_WORDS_S = 3.0
"""Beyond the longest that an answer may take: for the final counts, and for an engine to exit."""
WHY = "draining"

log = logging.getLogger(__name__)


class Drain:
    """What is asked of this process: `asked` to leave in order, then `hurried` to do so at once.

    Both are set once and for all. `why`: who asked, "" for a signal.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.hurried = threading.Event()
        self.why = ""
        self._begun = self._ordered = self._listens = False
        self._signals = 0

    def listen(self) -> None:
        """Wrap the handlers that end the process in order: attempts hear of it before tasks are waited for.

        For the main thread, once tasks are being taken.
        """
        warm = signal.getsignal(signal.SIGTERM)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._wrapped(warm, self._on_signal))
        signal.signal(signal.SIGQUIT, self._wrapped(signal.getsignal(signal.SIGQUIT), self._on_quit))
        self._listens = True
        if self._ordered:
            os.kill(os.getpid(), signal.SIGTERM)

    def order(self, why: str) -> None:
        """Leave in order, as if by a signal; for other threads. A signal that follows is the first one."""
        if self._begun or self._ordered:
            return
        self.why = why
        self._ordered = True
        if self._listens:
            os.kill(os.getpid(), signal.SIGTERM)

    def at_once(self, why: str) -> None:
        """Leave without handing anything over; for other threads."""
        self.hurried.set()
        self.order(why)

    def _on_signal(self) -> None:
        """Runs between any two steps of the main thread, so it sets no event that it may have interrupted."""
        if self._ordered and not self._begun:
            self._begin()
            return
        self._signals += 1
        if not self._begun:
            self._begin()
        elif self._signals == 2:
            self.hurried.set()

    def _on_quit(self) -> None:
        self._signals += 2
        if self._signals in (2, 3):
            self.hurried.set()
        if not self._begun:
            self._begin()

    def _begin(self) -> None:
        self._begun = True
        self.asked.set()

    @staticmethod
    def _wrapped(inner: Any, first: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
        def on_signal(number: int, frame: FrameType | None) -> None:
            first()
            if callable(inner):
                inner(number, frame)

        return on_signal


def watch(drain: Drain, *, show: Callable[[], None]) -> threading.Thread:
    """Say what a drain means, and `show` it to the fleet at once; the thread ends with the process."""

    def run() -> None:
        drain.asked.wait()
        show()
        if not drain.hurried.is_set():
            log.warning(
                "draining%s: loads are handed over within %g s, or stopped then; answers under way are "
                "waited for as long as their target's timeout; a second SIGTERM stops all at once",
                f" ({drain.why})" if drain.why else "",
                DRAIN_WITHIN_S,
            )

    thread = threading.Thread(target=run, name="drain", daemon=True)
    thread.start()
    return thread


@dataclass(slots=True)
class Leaving:
    """One running load on its way out. Times are of the monotonic clock.

    `answers_s`: the longest that an answer may take. `halt_at_s`: when it is stopped, whatever came of it.
    """

    answers_s: float
    halt_at_s: float
    handed_over: bool = False

    def hand_over(self, until_s: float) -> None:
        """It begins nothing from then on; its last answers may still come."""
        self.handed_over = True
        self.halt_at_s = until_s + self.answers_s + LAST_WORDS_S

    def why(self) -> str:
        """Why it is stopped when its time is over."""
        if self.handed_over:
            return (
                f"{WHY}: its last requests had no end {self.answers_s + LAST_WORDS_S:g} s after the hand-over"
            )
        return f"{WHY}: no successor was ready within {DRAIN_WITHIN_S:g} s"


def leave(now_s: float, *, end_s: float, answers_s: float) -> Leaving:
    """A load that begins to leave; `end_s`: of its schedule. One that is about to end by itself may do so."""
    halt_at_s = now_s + DRAIN_WITHIN_S
    if end_s < halt_at_s:
        halt_at_s = end_s + answers_s + LAST_WORDS_S
    return Leaving(answers_s, halt_at_s)
