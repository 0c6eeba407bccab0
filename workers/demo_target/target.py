"""The demo target's state that its connections share: slots, counts, the log and the choice of errors."""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Callable

from workers.demo_target import metrics, routes
from workers.demo_target.answer import Reply, Stream, refusal
from workers.demo_target.http1 import Request
from workers.demo_target.settings import Settings
from workers.demo_target.truth import Ended, Received, TruthLog


class Slots:
    """Lets at most `limit` requests be worked on at once (0: any number); the others wait in order.

    The line is bounded by the connections, since each has one request in it at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line: deque[Callable[[], None]] = deque()
        self.running = 0

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self._line)

    def enter(self, start: Callable[[], None]) -> None:
        """Call `start` as soon as there is a slot for it, which may be now."""
        if self._limit and self.running >= self._limit:
            self._line.append(start)
            return
        self.running += 1
        start()

    def leave(self, start: Callable[[], None]) -> None:
        """Give back the slot that `start` was called for, or its place in the line."""
        if start in self._line:
            self._line.remove(start)
            return
        self.running -= 1
        if self._line:
            self.running += 1
            asyncio.get_running_loop().call_soon(self._line.popleft())


class Target:
    """What all connections of one demo target share."""

    def __init__(self, settings: Settings, log: TruthLog | None) -> None:
        self.settings = settings
        self.slots = Slots(settings.slots)
        self.counts = metrics.Counts()
        self.stopping = False
        self.active = 0  # logged requests that have not ended
        self.drained = asyncio.Event()
        self._log = log
        self._numbers = itertools.count(1)
        self._random = random.Random(settings.seed)

    def receive(self, request: Request) -> Received:
        """Note a request as received, before anything is answered."""
        now_ns = time.monotonic_ns()
        received = Received(
            id=request.headers.get("x-shakeout-id"),
            path=request.path,
            received_ns=now_ns,
            received=time.time(),
        )
        self.active += 1
        if self._log is not None:
            self._log.write(received)
        return received

    def answer(self, route: routes.Route | None, request: Request) -> Reply | Stream:
        """Answer a request; of valid inferences the error share is refused, chosen by the seed in order."""
        asked = routes.Asked(
            request=request,
            settings=self.settings,
            number=next(self._numbers),
            created=int(time.time()),
            metrics=self._metrics,
        )
        answer = routes.answer(route, asked)
        valid = route is not None and route.works and (isinstance(answer, Stream) or answer.status == 200)
        share = self.settings.error_share
        if valid and share and self._random.random() < share:
            return refusal(request.path, status=503, message="refused on purpose: --error-rate")
        return answer

    def end(
        self, received: Received, *, event: str, first_ns: int | None, status: int | None, tokens: int
    ) -> None:
        """Note how a received request ended: `answered`, `disconnected` or `cut`."""
        self.active -= 1
        self.counts.tokens += tokens
        self.counts.disconnects += event == "disconnected"
        if self._log is not None:
            ended = Ended(
                event=event,
                id=received.id,
                path=received.path,
                received_ns=received.received_ns,
                received=received.received,
                first_ns=first_ns,
                answered_ns=time.monotonic_ns(),
                status=status,
                tokens=tokens,
            )
            self._log.write(ended)
        if self.stopping and not self.active:
            self.drained.set()

    def _metrics(self) -> Reply:
        body = metrics.render(self.counts, running=self.slots.running, waiting=self.slots.waiting)
        return Reply(status=200, body=body, content_type=metrics.CONTENT_TYPE)
