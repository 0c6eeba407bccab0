"""The proxy as a whole: it listens, makes a connection for each client, and holds one effect, or none."""

import asyncio
import errno
import socket
import struct
from contextlib import suppress

from workers.chaos.network.proxy_wire import (
    Clear,
    Command,
    End,
    Inject,
    Keep,
    Look,
    Speech,
    Standing,
)
from workers.chaos.processes import boot_s
from workers.proxy.connection import Connection
from workers.proxy.hold import Hold, Holder
from workers.proxy.line import Held
from workers.proxy.memory import Memory
from workers.proxy.talk import Talk
from workers.proxy.upstream import Upstream

MOST_CONNECTIONS = 8192
"""Clients beyond these wait in the kernel's queue until others leave."""
BACKLOG = 1024
_RESET = struct.pack("ii", 1, 0)
_AGAIN_AFTER_S = 0.05  # accept failed: no file descriptor is free, say


class Proxy:
    """One listening port and all that came in through it; `me` is what it says of itself when asked.

    `keep_s`: how long it stands without a word from a worker; `over` is set when it is to end.
    """

    def __init__(self, listening: socket.socket, *, upstream: Upstream, me: Standing, keep_s: float) -> None:
        self._listening, self._upstream, self._me = listening, upstream, me
        self._held, self._memory = Held(), Memory()
        self._holder = Holder(self._changed)
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._number = 0
        self._speaks: Speech = me.speaks
        self._worker = me.worker
        self._until_s = boot_s() + keep_s
        self._room = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None
        self.over = asyncio.Event()

    @property
    def until_s(self) -> float:
        """When it ends (CLOCK_BOOTTIME) unless a worker keeps it for longer."""
        return self._until_s

    def open(self) -> None:
        """Begin to take clients."""
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.listen(BACKLOG)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def close(self) -> None:
        """Take no more clients, and close what is open."""
        await self._shut()
        self._listening.close()
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def obey(self, command: Command) -> Standing:
        """Do what is asked for, and say how things stand then."""
        wrong = ""
        match command:
            case Inject(effect):
                wrong = self._holder.inject(effect)
                if not wrong and effect.refuse and effect.share >= 1:
                    await self._shut()
                    if self._holder.now is None:  # it was cleared meanwhile
                        self.open()
            case Clear(key):
                self._holder.clear(key)
            case Keep(worker, for_s, speaks):
                self._worker, self._until_s = worker, boot_s() + for_s
                self._speaks = speaks or self._speaks
            case End():
                self.over.set()
            case Look():
                pass
        return self.standing(wrong)

    def standing(self, wrong: str = "") -> Standing:
        """How it stands now."""
        now = self._holder.now
        return Standing(
            who=self._me.who,
            bind=self._me.bind,
            port=self._me.port,
            upstream=self._me.upstream,
            worker=self._worker,
            speaks=self._speaks,
            open=len(self._connections),
            total=self._number,
            held=now.effect.key if now is not None else "",
            counts=self._holder.last,
            counted=self._holder.last_key,
            remembered=self._memory.count,
            wrong=wrong,
        )

    def _changed(self, hold: Hold | None) -> None:
        self._memory.frozen = hold is not None
        for connection in list(self._connections):
            if hold is not None and hold.effect.answer and connection.talk is None:
                connection.talk = Talk(hold.effect.speaks, self._memory, begun=False)
            connection.meet(hold)
        if hold is None and self._accepting is None and not self.over.is_set():
            self.open()

    async def _shut(self) -> None:
        """Listen no more: the kernel refuses clients from now on, and the port stays ours."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None
        with suppress(OSError):
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # or another could take it
            self._listening.shutdown(socket.SHUT_RDWR)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while len(self._connections) >= MOST_CONNECTIONS:
                self._room.clear()
                await self._room.wait()
            try:
                client, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):
                    raise
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            self._number += 1
            if not self._turned_away(client):
                self._begin(client)

    def _turned_away(self, client: socket.socket) -> bool:
        """Whether this client is one of the share that is refused."""
        hold = self._holder.now
        if hold is None or not hold.effect.refuse:
            return False
        hold.counts.passed += 1
        if not hold.takes(self._number):
            return False
        hold.counts.chosen += 1
        hold.counts.touched += 1
        with client, suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return True

    def _begin(self, client: socket.socket) -> None:
        hold = self._holder.now
        speaks = hold.effect.speaks if hold is not None and hold.effect.answer else self._speaks
        connection = Connection(
            self._number,
            client,
            upstream=self._upstream,
            held=self._held,
            current=lambda: self._holder.now,
            talk=Talk(speaks, self._memory) if speaks else None,
        )
        task = asyncio.get_running_loop().create_task(connection.run())
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._forget(connection))

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._room.set()


def listen_on(bind: str, port: int) -> socket.socket:
    """A socket bound there, not listening yet. Raises OSError."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((bind, port))
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening
