"""What the worker has ordered so far, and how the attempt will end."""

import time
import traceback
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from workers.contract.errors import HostError, ShakeoutWorkerError, TargetRefusedError
from workers.contract.snapshot import ExitOutcome
from workers.engine import wire
from workers.engine.book import NS, Clock
from workers.engine.clockmap import fixed
from workers.engine.fence import Fence
from workers.engine.until import Until

HANDED_OVER = "handed over"


class Control:
    """One attempt's orders. `ending`: (outcome, why), decided once, by whoever is first.

    `until`: when it begins nothing more. `say`: to the worker.
    """

    __slots__ = ("_say", "authorised", "begin", "clock", "ending", "fence", "prepare", "silent_ns", "until")

    def __init__(self, say: Callable[[wire.Yielded], None] = lambda _: None) -> None:
        self._say = say
        self.prepare: AsyncResult = AsyncResult()
        self.begin: AsyncResult = AsyncResult()
        self.authorised = Event()
        self.ending: AsyncResult = AsyncResult()
        self.fence = Fence()
        self.until = Until()
        self.clock: Clock | None = None
        self.silent_ns = 0

    def take(self, order: wire.ToEngine) -> None:
        """Obey one order; runs in the reader's greenlet."""
        match order:
            case wire.Authorise(until_ns):
                self.fence.extend(until_ns)
                self.authorised.set()
            case wire.Halt(why):
                self.end("stopped", why)
            case wire.HandOver(until_s):
                self._hand_over(until_s)
            case wire.Prepare():
                self.prepare.set(order)
            case wire.Begin(start_ns):
                self.clock = self.clock or Clock(fixed(start_ns))
                self.begin.set(order)
            case wire.Retime(start_ns):
                if self.clock:
                    self.clock.retime(start_ns)

    def end(self, outcome: ExitOutcome, why: str, *, silent_ns: int | None = None) -> None:
        """Fall silent and say how it ends; the first call counts. `silent_ns`: since when, if not now."""
        if not self.ending.ready():
            self.fence.close()
            self.silent_ns = time.monotonic_ns() if silent_ns is None else silent_ns
            self.ending.set((outcome, why))

    def finish(self) -> None:
        """All that was to be done is done; of the whole schedule, unless a successor does the rest."""
        if self.until.is_set:
            self.end("stopped", HANDED_OVER)
        else:
            self.end("done", "")

    def trouble(self, error: BaseException) -> None:
        """End because of an error on this side; one that nobody foresaw leaves its traceback on stderr."""
        if isinstance(error, TargetRefusedError):
            self.end("refused", str(error))
        elif isinstance(error, HostError):
            self.end("died", str(error))
        elif isinstance(error, ShakeoutWorkerError):
            self.end("error", str(error))
        else:
            traceback.print_exception(error)
            self.end("error", f"the engine failed: {type(error).__name__}: {error}")

    def _hand_over(self, until_s: float) -> None:
        """Promise it, and say so; where nothing has begun there is nothing to wait for."""
        if self.clock is None:
            self.end("stopped", HANDED_OVER)
        elif not self.ending.ready():
            at_ns = self.until.promise(round(until_s * NS), now_ns=self.clock.now_ns())
            self._say(wire.Yielded(at_ns / NS))

    def ends_before(self, event: Any) -> bool:
        """Wait for an event or the end; True where the end has come. EOF of the orders bounds it."""
        gevent.wait([event, self.ending], count=1)
        return bool(self.ending.ready())


def hear_errors(tell: Callable[[BaseException], None]) -> None:
    """Have errors told that end a greenlet or come up in the event loop, where nobody catches them.

    Without its reporter, say, an engine would load on and be silent. Errors of threads are raised again to
    whoever asked for the thread's work.
    """
    hub = gevent.get_hub()
    usual = hub.handle_error

    def heard(context: object, kind: type, error: Any, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(context, tuple):  # (pool, function): a thread's
            tell(error)
        else:
            usual(context, kind, error, trace)

    hub.handle_error = heard
