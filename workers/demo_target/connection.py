"""One client's connection: requests in, answers out at their exact times, one after another."""

import asyncio
import time
from typing import TYPE_CHECKING, cast

from workers.demo_target import routes
from workers.demo_target.answer import EVENTS, Reply, Stream, refusal
from workers.demo_target.http1 import CONTINUE, LAST_CHUNK, BadRequestError, Reader, Request, chunk, head
from workers.demo_target.target import Target

if TYPE_CHECKING:
    from workers.demo_target.truth import Received

MAX_HELD_BYTES = 256 * 1024  # of requests sent ahead while one is answered; then the socket is not read
LINGER_S = 1.0  # how long a refused client's rest is read, lest a reset swallow the refusal
SAME_TIME_S = 1e-6  # tokens due within this are due now: the loop may wake a float's rounding early


class Connection(asyncio.Protocol):
    """Reads requests and sends their answers; a subclass because asyncio types its callbacks so."""

    def __init__(self, target: Target, connections: set["Connection"]) -> None:
        self._target = target
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._transport: asyncio.Transport | None = None
        self._refused = False  # what still comes is thrown away
        self._advancing = False
        self._forget()
        self.touched_s = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket's writing side."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Take what came; answer a request once it is whole."""
        self.touched_s = self._loop.time()
        if self._refused or self._transport is None:
            return
        self._reader.feed(data)
        if self._request is None:
            self._advance()
        elif self._reader.held_bytes > MAX_HELD_BYTES:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # why is all the same to the log
        """Note a request that was being answered as disconnected, or as cut where this process stops."""
        self._connections.discard(self)
        self._transport = None
        if self._request is not None:
            self._end("cut" if self._target.stopping else "disconnected")

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self._request is None

    def close(self) -> None:
        """Close the socket; what was written still goes out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def _forget(self) -> None:
        """No request is being answered."""
        self._request: Request | None = None
        self._route: routes.Route | None = None
        self._received: Received | None = None
        self._answer: Reply | Stream | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._queued = False  # has a slot or a place in the line
        self._waits = False  # the place
        self._first_s = 0.0  # when the first token is due
        self._first_ns: int | None = None
        self._status: int | None = None
        self._sent = 0  # tokens

    def _advance(self) -> None:
        """Take up requests until one takes time or none is whole. A loop: pipelined ones must not nest."""
        self._advancing = True
        try:
            while self._request is None and self._transport is not None and not self._refused:
                request = self._reader.next()
                if request is None:
                    if self._reader.awaits_body:
                        self._transport.write(CONTINUE)
                    break
                self._begin(request)
        except BadRequestError as error:
            self._refuse(error)
        finally:
            self._advancing = False

    def _begin(self, request: Request) -> None:
        route = routes.find(request.path)
        self._request, self._route = request, route
        looks = route is not None and not route.works and request.method == route.method
        if not looks:
            self._received = self._target.receive(request)
        self._answer = self._target.answer(route, request)
        works = isinstance(self._answer, Stream) or self._answer.delay_s > 0
        if works:
            self._queued = True
            self._target.slots.enter(self._start)
            self._waits = self._timer is None
        else:
            self._reply()

    def _start(self) -> None:
        """Set the answer's times: from the receipt, or from now if the request had to wait for a slot."""
        if self._transport is None or self._received is None:
            return
        start_s = self._loop.time() if self._waits else self._received.received_ns / 1e9
        answer = self._answer
        if isinstance(answer, Stream):
            self._open(answer)
            self._first_s = start_s + answer.ttft_s
            self._timer = self._loop.call_at(self._first_s, self._tick)
        elif answer is not None:
            self._timer = self._loop.call_at(start_s + answer.delay_s, self._reply)

    def _reply(self) -> None:
        answer, request = self._answer, self._request
        if not isinstance(answer, Reply) or request is None or self._transport is None:
            return
        self._status = answer.status
        self._first_ns = time.monotonic_ns()
        self._sent = answer.tokens
        keep_alive = request.keep_alive and not self._target.stopping
        start = head(
            status=answer.status,
            content_type=answer.content_type,
            length=len(answer.body),
            keep_alive=keep_alive,
            more=answer.headers,
        )
        self._transport.write(start + answer.body)
        self._finish(keep_alive=keep_alive)

    def _tick(self) -> None:
        """Send every token that is due: one, or after a pause of this process all that it missed."""
        answer = self._answer
        if not isinstance(answer, Stream) or self._transport is None:
            return
        due = answer.tokens
        if answer.gap_s > 0:
            late_s = self._loop.time() - self._first_s
            due = min(due, max(self._sent, int((late_s + SAME_TIME_S) / answer.gap_s)) + 1)
        events = b"".join(answer.events(self._sent, due))
        if self._sent == 0 < due:
            self._first_ns = time.monotonic_ns()
        self._sent = due
        if due < answer.tokens:
            self._transport.write(self._framed(events))
            self._timer = self._loop.call_at(self._first_s + due * answer.gap_s, self._tick)
            return
        request = self._request
        chunked = request is not None and request.keep_alive
        self._transport.write(self._framed(events + answer.closing) + (LAST_CHUNK if chunked else b""))
        self._finish(keep_alive=chunked and not self._target.stopping)

    def _finish(self, *, keep_alive: bool) -> None:
        """The answer is written whole."""
        self._end("answered")
        self.touched_s = self._loop.time()
        if self._transport is None:
            return
        if not keep_alive:
            self._transport.close()
        elif not self._advancing:
            if not self._transport.is_reading():
                self._transport.resume_reading()
            self._advance()

    def _end(self, event: str) -> None:
        """Give back what the request held, count and log it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._queued:
            self._target.slots.leave(self._start)
        if event == "answered":
            name = self._route.name if self._route else "other"
            self._target.counts.requests[name, self._status or 0] += 1
        received, first_ns, status, sent = self._received, self._first_ns, self._status, self._sent
        self._forget()
        if received is not None:
            self._target.end(received, event=event, first_ns=first_ns, status=status, tokens=sent)

    def _refuse(self, error: BadRequestError) -> None:
        """Answer bytes that are no request, then read the rest for a while before closing."""
        transport = self._transport
        if transport is None:
            return
        self._refused = True
        reply = refusal("", status=error.status, message=str(error))
        self._target.counts.requests["other", error.status] += 1
        start = head(
            status=error.status, content_type=reply.content_type, length=len(reply.body), keep_alive=False
        )
        received = self._target.receive(self._reader.head) if self._reader.head else None
        first_ns = time.monotonic_ns()
        transport.write(start + reply.body)
        if received is not None:
            self._target.end(received, event="answered", first_ns=first_ns, status=error.status, tokens=0)
        if transport.can_write_eof():
            transport.write_eof()
        self._loop.call_later(LINGER_S, transport.close)

    def _open(self, stream: Stream) -> None:
        """Send a stream's head and opening, in one write."""
        if self._transport is None or self._request is None:
            return
        self._status = 200
        start = head(status=200, content_type=EVENTS, length=None, keep_alive=self._request.keep_alive)
        self._transport.write(start + (self._framed(stream.opening) if stream.opening else b""))

    def _framed(self, data: bytes) -> bytes:
        """As a chunk where the connection is kept, bare where its end is the body's end."""
        return chunk(data) if self._request is not None and self._request.keep_alive else data
