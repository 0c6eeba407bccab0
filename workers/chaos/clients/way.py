"""The way of clients to their target: its addresses, those that may be connected to, TLS."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from workers.chaos.aim import Aim
from workers.chaos.clients.connection import MOST_HEAD_BYTES, Connection
from workers.contract.errors import FaultError
from workers.engine.allow import parse_allow_list

_RESOLVED_FOR_S = 5.0


class Way:
    """How one target is reached. `allow_targets`: entries beside loopback.

    Raises FaultError for TLS files that cannot be used.
    """

    def __init__(self, aim: Aim, *, allow_targets: Sequence[str]) -> None:
        self._allow = parse_allow_list(allow_targets)
        parts = urlsplit(aim.url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._context = _context(aim) if secure else None
        self._server_name = (aim.tls.server_name or self._host) if secure else None
        self._known_at_s = -_RESOLVED_FOR_S
        self._known: list[str] = []
        self._looks_up = asyncio.Lock()
        self.authority = parts.netloc.rpartition("@")[2]

    async def addresses(self) -> list[str]:
        """Addresses that may be connected to, looked up every 5 s: once, however many come at a moment.

        Raises OSError, TargetRefusedError.
        """
        loop = asyncio.get_running_loop()
        async with self._looks_up:
            if loop.time() - self._known_at_s >= _RESOLVED_FOR_S:
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
                self._known = self._allow.permitted(self._host, self._port, addresses=addresses)
                self._known_at_s = loop.time()
        return self._known

    async def connect(self, *, buffer_bytes: int = 0) -> Connection:
        """Open a connection to the first address that takes one. Raises OSError, TargetRefusedError.

        `buffer_bytes`: how little the kernel and this process are to take before somebody reads; 0: as usual.
        """
        error: OSError | None = None
        for address in await self.addresses():
            try:
                return await self._connect_to(address, buffer_bytes)
            except OSError as failed:
                error = failed
        assert error is not None  # noqa: S101  # there is at least one address
        raise error

    async def _connect_to(self, address: str, buffer_bytes: int) -> Connection:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            await asyncio.get_running_loop().sock_connect(sock, (address, self._port))
            reader, writer = await asyncio.open_connection(
                sock=sock,
                ssl=self._context,
                server_hostname=self._server_name,
                limit=buffer_bytes or MOST_HEAD_BYTES,
            )
        except BaseException:
            sock.close()
            raise
        writer.transport.set_write_buffer_limits(high=0)  # what was drained is with the kernel
        return Connection(reader, writer)


def _context(aim: Aim) -> ssl.SSLContext:
    tls = aim.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
        else:
            context.load_default_certs()
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key or None)
    except (OSError, ssl.SSLError) as error:
        raise FaultError(f"cannot use the tls files of target {aim.name}: {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
