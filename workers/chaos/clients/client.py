"""What all clients of one fault share: requests, the schedule, the ceiling, and what is counted."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256

from workers.chaos.aim import Aim
from workers.chaos.clients.admission import MOST_AT_ONCE
from workers.chaos.clients.connection import BrokenAnswerError, Connection, failure
from workers.chaos.clients.order import Order, Wants
from workers.chaos.clients.requests import Requests
from workers.chaos.clients.tally import LATE, Tally
from workers.chaos.clients.way import Way
from workers.contract.broker.names import ID_HEADER
from workers.contract.errors import FaultError, TargetRefusedError
from workers.engine.ceiling import Ceiling
from workers.protocols.contract import Request

Visit = Callable[[int], Awaitable[None]]
"""What one client does, by the index of its request."""
PREPARES_WITHIN_S = 5.0
"""To find the target's address, and to ask for its metadata."""
AGAIN_AFTER_S = 1.0
"""Clients that stay, and are sent away, do not come back at once."""

_MOST_METADATA_BYTES = 4 * 1024 * 1024  # a model of some thousand inputs
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*\Z")


class Client:
    """The clients of one fault. Raises FaultError where the target cannot be asked as it is described."""

    def __init__(self, order: Order, tally: Tally, wants: Wants) -> None:
        self.aim, self.tally = order.aim, tally
        self.random = random.Random(order.seed)
        self.requests = Requests(order.aim, rows=wants.rows, seed=order.seed, tokens=wants.tokens)
        self._documented = tuple(map(str, wants.answers))
        self._way = Way(order.aim, allow_targets=order.allow_targets)
        self._block = _block(order.aim, self._way.authority)
        self._ceiling = Ceiling(order.aim.per_s, whose=order.aim.whose)
        self._count = self._open = self._begun = 0

    async def prepare(self) -> None:
        """See that the target's address may be connected to, and that every request can be made.

        Raises FaultError, TargetRefusedError.
        """
        try:
            async with asyncio.timeout(PREPARES_WITHIN_S):
                await self._way.addresses()
                if self.requests.wants_metadata:
                    await self._ask_metadata()
        except TimeoutError as error:
            raise FaultError(f"target {self.aim.name} did not answer in {PREPARES_WITHIN_S:g} s") from error
        except (OSError, EOFError, BrokenAnswerError) as error:
            raise FaultError(f"target {self.aim.name} cannot be reached: {error}") from error
        self.requests.check()

    def index(self) -> int:
        """The index of the next request: no other of this activity has it."""
        self._count += 1
        return self.aim.first + (self._count - 1) * self.aim.of + self.aim.shard

    def admitted(self) -> bool:
        """Whether the ceiling, and the number of open connections, leave room for one more."""
        if max(self._open, self._begun) >= MOST_AT_ONCE:
            self.tally.add("withheld.connections")
            return False
        if not self._ceiling.admits(time.monotonic_ns()):
            self.tally.add("withheld.ceiling")
            return False
        return True

    def message(self, request: Request, index: int, *, body: bytes | None = None) -> bytes:
        """The bytes of a request; `body` in place of its own."""
        body = request.body if body is None else body
        return self.head(request, index, length=len(body)) + b"\r\n" + body

    def head(self, request: Request, index: int, *, length: int | None) -> bytes:
        """Its head without the blank line that ends it; `length`: what it says of its body, None: nothing."""
        lines = [f"{request.method} {request.path} HTTP/1.1\r\n".encode(), self._block, self._id_lines(index)]
        lines += [f"{name}: {value}\r\n".encode() for name, value in request.headers]
        if length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        return b"".join(lines)

    @asynccontextmanager
    async def connection(self, *, buffer_bytes: int = 0) -> AsyncIterator[Connection]:
        """Open a connection and leave it at the end; `buffer_bytes` as `Way.connect` has it."""
        self._open += 1
        try:
            async with asyncio.timeout(self.aim.timeout_s):
                line = await self._way.connect(buffer_bytes=buffer_bytes)
            self.tally.add("opened")
            try:
                yield line
            finally:
                line.leave()
        finally:
            self._open -= 1

    @asynccontextmanager
    async def held(self, *, buffer_bytes: int = 0) -> AsyncIterator[Connection]:
        """As `connection`, counted for as long as it is open."""
        async with self.connection(buffer_bytes=buffer_bytes) as line:
            self.tally.add("held")
            try:
                yield line
            finally:
                self.tally.add("held", -1)

    def took(self, status: int, *, of: str = "request") -> None:
        """Count an answer, once more where it is none of those documented; `of`: to which kind of request."""
        self.tally.add(f"answers.{status}")
        if self._documented and not any(fits(status, one) for one in self._documented):
            self.tally.add(f"unexpected.{of}.{status}")

    async def ask(
        self,
        request: Request,
        index: int,
        *,
        of: str = "request",
        body: bytes | None = None,
        counted: Sequence[str] = ("sent",),
    ) -> int:
        """Send a request and read all of its answer; its status.

        `of` as `took` has it, `body` as `message`. `counted`: as what it counts once it is sent.
        """
        async with self.connection() as line:
            await line.send(self.message(request, index, body=body))
            for name in counted:
                self.tally.add(name)
            status = await line.status()
            self.took(status, of=of)
            await line.rest()
            return status

    def begin(self, visit: Visit, *, group: asyncio.TaskGroup) -> asyncio.Task[None] | None:
        """Begin a visit with the next request, as `visit` does it; None where there is no room for it."""
        if not self.admitted():
            return None
        self._begun += 1  # at once: it opens its connection later
        task = group.create_task(self.visit(visit, self.index()))
        task.add_done_callback(self._ended)
        return task

    async def visit(self, visit: Visit, index: int) -> None:
        """Do it once, within the target's time-out; what goes wrong on the way is counted."""
        await self._counted(visit, index, within_s=self.aim.timeout_s)

    async def stay(self, visit: Visit, *, clients: int) -> None:
        """Be so many clients, each of whom does it again and again, without a time-out; without end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._again(visit))

    async def paced(self, visit: Visit, *, per_s: float) -> None:
        """Begin a visit at each moment of an even schedule, however long others take; without end."""
        loop = asyncio.get_running_loop()
        start_s, number = loop.time(), 0
        async with asyncio.TaskGroup() as group:
            while True:
                due_s = start_s + number / per_s
                await self.until(due_s)
                self.begin(visit, group=group)
                number += 1

    async def until(self, due_s: float) -> None:
        """Wait for a moment of the loop's clock, and count how late it was kept."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        self.tally.highest(LATE, round((loop.time() - due_s) * 1000))

    def _ended(self, task: asyncio.Task[None]) -> None:  # noqa: ARG002  # the shape of a callback
        self._begun -= 1

    async def _again(self, visit: Visit) -> None:
        while True:
            if self.admitted():
                await self._counted(visit, self.index(), within_s=None)
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _counted(self, visit: Visit, index: int, *, within_s: float | None) -> None:
        try:
            async with asyncio.timeout(within_s):
                await visit(index)
        except TargetRefusedError:
            self.tally.add("withheld.allow-list")
        except (OSError, EOFError, BrokenAnswerError) as error:
            self.tally.add(failure(error))

    async def _ask_metadata(self) -> None:
        """Ask the target what its inputs are: a look, no inference."""
        page = Request("GET", self.requests.metadata_path(), b"", (("accept", "application/json"),), False)
        async with self.connection() as line:
            await line.send(self.head(page, self.aim.first, length=None) + b"\r\n")
            status = await line.status()
            body = await line.body(most_bytes=_MOST_METADATA_BYTES)
        if status != 200:
            said = f"target {self.aim.name} answered {status} when asked what its inputs are"
            raise FaultError(f"{said}: name a file of rows in `with`")
        self.requests.take_metadata(body)

    def _id_lines(self, index: int) -> bytes:
        name = f"{self.aim.activity}/{index}/{self.aim.number}"
        digest = sha256(f"{self.aim.campaign}/{name}".encode()).hexdigest()
        trace = f"traceparent: 00-{digest[:32]}-{digest[32:48]}-01\r\n"
        return (f"{ID_HEADER}: {name}\r\n{trace}" if self.aim.id_header else trace).encode()


def fits(status: int, pattern: str) -> bool:
    """Whether a status is one of `404` or `4xx`."""
    return pattern in (str(status), f"{status // 100}xx")


def _block(aim: Aim, authority: str) -> bytes:
    """Header lines of every request. Raises FaultError, which names the header and never its value."""
    lines = {"host": authority, "user-agent": "shakeout"}
    for name, value in aim.headers.items():
        if not _TOKEN.match(name) or not _VALUE.match(value):
            raise FaultError(
                f"header {name!r} of target {aim.name} holds a character that no header may hold"
            )
        lines[name.lower()] = value.strip()
    lines |= {"accept-encoding": "identity", "connection": "close"}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode()
