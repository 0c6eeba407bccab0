"""One client's connection and the one made for it: two directions, half-closes, resets, as they come."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from workers.contract.errors import TargetRefusedError
from workers.proxy.hold import Hold, draw
from workers.proxy.line import Held, Line
from workers.proxy.side import CHUNK_BYTES, close, has_left, linger, lively
from workers.proxy.talk import Talk
from workers.proxy.upstream import Upstream

_LOOKS_EVERY_S = 1.0


class Connection:
    """One of a proxy's connections; `run` carries it to its end, and closes both sides.

    `current`: what the proxy holds now. `talk`: reads what is said, where answers are remembered or made.
    """

    def __init__(
        self,
        number: int,
        client: socket.socket,
        *,
        upstream: Upstream,
        held: Held,
        current: Callable[[], Hold | None],
        talk: Talk | None,
    ) -> None:
        self.number = number
        self._client, self._upstream, self._held = client, upstream, held
        self._server: socket.socket | None = None
        self._current, self.talk = current, talk
        self._lines: dict[str, Line] = {}
        self._pumps: list[asyncio.Task[None]] = []
        self._senders: list[asyncio.Task[None]] = []
        self._hold: Hold | None = None
        self._chosen = self._touched = False
        self._passed_bytes = 0
        self._reset_at: asyncio.TimerHandle | None = None
        self._harsh = False
        self._dice = {way: draw(0, way, number) for way in ("up", "down")}
        self._ended = self._full = False

    async def run(self) -> None:
        """Connect, pass on both ways, close. Never raises but for cancellation."""
        try:
            if self._current() is not self._hold:  # it may have begun before this task did
                self.meet(self._current())
            with suppress(OSError):  # it may have left already
                lively(self._client)
            if await self._has_come() and await self._is_led_on():
                await self._both_ends()
            if self._ended and not self._harsh:
                await self._linger()
        except (OSError, TargetRefusedError):
            self._harsh = True  # as the other side's end would have been felt
        finally:
            for task in (*self._pumps, *self._senders):
                task.cancel()
            await asyncio.gather(*self._pumps, *self._senders, return_exceptions=True)
            self._close()

    def meet(self, hold: Hold | None) -> None:
        """A hold begins, or is over (None), while this connection is there."""
        if self._reset_at is not None:
            self._reset_at.cancel()
            self._reset_at = None
        self._hold, self._passed_bytes, self._full = hold, 0, False
        self._chosen = self._touched = False
        for line in self._lines.values():
            line.release()
        if self.talk is not None:
            self.talk.meet(hold, self.number)
        if self._lines and self._server is None:
            self.cut(harsh=False)  # nobody answers in the upstream's place any more
        if hold is None or hold.effect.answer or hold.effect.refuse:
            return
        hold.counts.passed += 1
        self._chosen = hold.takes(self.number)
        if not self._chosen:
            return
        hold.counts.chosen += 1
        self._dice = {way: draw(hold.effect.seed, way, self.number) for way in ("up", "down")}
        if hold.effect.reset_after_s is not None:
            self._touch(hold)
            loop = asyncio.get_running_loop()
            self._reset_at = loop.call_later(hold.effect.reset_after_s, self.cut)

    def cut(self, *, harsh: bool = True) -> None:
        """End it now: with a reset of both sides, or, not `harsh`, as if both had said that they end."""
        self._harsh = self._harsh or harsh
        self._ended = True
        for task in self._pumps:
            task.cancel()

    async def _has_come(self) -> bool:
        """Wait while a hold swallows new connections; whether this client has waited, too.

        Through a real hole it would never have been connected: who has left meanwhile is led nowhere.
        """
        while (hold := self._swallows("up")) is not None:
            self._touch(hold)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOKS_EVERY_S):
                    await hold.over.wait()
            await asyncio.sleep(0)
            if has_left(self._client):
                return False
        return not self._ended

    async def _is_led_on(self) -> bool:
        """Connect to the upstream, and begin to pass on; False where it was cut meanwhile. Raises OSError.

        Whose answers are all made here may be without an upstream.
        """
        self._pumps = [asyncio.create_task(self._connect())]
        await asyncio.wait(self._pumps)
        if self._ended:
            return False
        failure = self._pumps[0].exception()
        if failure is not None and not (isinstance(failure, OSError) and self._answers()):
            raise failure
        self._lines = {"down": Line(self._client, "down", self._held)}
        self._pumps = [asyncio.create_task(self._pump("up", self._client))]
        if self._server is not None:
            self._lines["up"] = Line(self._server, "up", self._held)
            self._pumps.append(asyncio.create_task(self._pump("down", self._server)))
        self._senders = [asyncio.create_task(line.run()) for line in self._lines.values()]
        return True

    def _answers(self) -> bool:
        """Whether answers are given in the upstream's place now."""
        hold = self._current()
        return hold is not None and hold.effect.answer in ("status", "empty", "stale")

    async def _connect(self) -> None:
        self._server = await self._upstream.connect()
        lively(self._server)

    async def _linger(self) -> None:
        """Let both sides read to the end that they are told of, whatever they still say."""
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await asyncio.gather(*(linger(side) for side in (self._client, self._server) if side is not None))

    async def _both_ends(self) -> None:
        """Until both directions have ended, one has failed, or it is cut."""
        lines = {*self._senders}
        pumps = {*self._pumps}
        while pumps and not self._ended:
            done, _ = await asyncio.wait(pumps | lines, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.cancelled():
                    return
                failure = task.exception()
                if failure is not None:
                    raise failure
            pumps -= done

    async def _pump(self, way: str, source: socket.socket) -> None:
        """Read one side and hand it on, as the hold of the moment has it, until it ends."""
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(source, CHUNK_BYTES)
            await self._while_black(way)
            if self.talk is not None:
                await self._say(way, data)
            else:
                await self._pass(way, self._towards(way), data)
            if not data:
                if way in self._lines:
                    await self._lines[way].drained()
                return

    def _towards(self, way: str) -> Line:
        """The line that goes there. Raises OSError where there is no upstream, as its refusal was felt."""
        if way not in self._lines:
            raise ConnectionRefusedError(f"{self._upstream.address} takes no connection")
        return self._lines[way]

    async def _pass(self, way: str, line: Line, data: bytes) -> None:
        hold = self._hold if self._chosen else None
        if hold is None or not hold.goes(way) or not data:
            await line.put(data, None)
            return
        data = self._counted(data, hold)
        if hold.delays:
            await line.put(data, hold, hold.delay_s(self._dice[way]))
        else:
            await line.put(data, None)
        if self._full:
            await self._cut_after(line, harsh=hold.effect.reset_after_bytes is not None)

    async def _cut_after(self, line: Line, *, harsh: bool) -> None:
        """Cut the connection once what was given to a line is on its way."""
        await line.drained()
        self.cut(harsh=harsh)
        await asyncio.sleep(0)  # where this task ends

    async def _say(self, way: str, data: bytes) -> None:
        """Let what is said be read, and send what comes of it: also answers that the upstream never gave."""
        assert self.talk is not None  # noqa: S101  # asked for by the caller
        said = self.talk.from_client(data) if way == "up" else self.talk.from_upstream(data)
        self.talk.settle()
        for piece in said:
            line = self._towards(piece.way)
            if piece.hold is None:
                await self._pass(piece.way, line, piece.data)
            else:
                await line.put(piece.data, piece.hold, piece.delay_s)
            if piece.ends:
                await self._cut_after(line, harsh=False)
        if not data and way in self._lines:
            await self._lines[way].put(b"", None)

    def _counted(self, data: bytes, hold: Hold) -> bytes:
        """Count what passes; of what is cut after so many bytes, only those."""
        self._touch(hold)
        limits = (hold.effect.truncate_after_bytes, hold.effect.reset_after_bytes)
        most = min((limit for limit in limits if limit is not None), default=None)
        if most is not None and self._passed_bytes + len(data) >= most:
            data = data[: most - self._passed_bytes]
            self._full = True
        self._passed_bytes += len(data)
        return data

    def _touch(self, hold: Hold) -> None:
        """Count this connection, once, as one that the hold did something to."""
        if not self._touched:
            self._touched = True
            hold.counts.touched += 1

    async def _while_black(self, way: str) -> None:
        """Hand nothing on while the hold swallows this direction; the bytes wait in the kernel."""
        while (hold := self._swallows(way)) is not None:
            self._touch(hold)
            await hold.over.wait()
            await asyncio.sleep(0)

    def _swallows(self, way: str) -> Hold | None:
        """The hold that swallows this direction now."""
        hold = self._hold if self._chosen else None
        return hold if hold is not None and hold.effect.blackhole and hold.goes(way) else None

    def _close(self) -> None:
        if self._reset_at is not None:
            self._reset_at.cancel()
        for line in self._lines.values():
            line.drop()
        if self.talk is not None:
            self.talk.settle(over=True)
        for side in (self._client, self._server):
            if side is not None:
                close(side, harsh=self._harsh)
