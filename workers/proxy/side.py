"""One side of a connection, a socket: how it is kept alive, how it is seen to have left, how it ends."""

import asyncio
import socket
import struct
from contextlib import suppress

CHUNK_BYTES = 64 * 1024
LINGERS_S = 5.0
"""How long a side that was told of the end is still listened to: a close with bytes unread resets it."""
ALIVE_WITHIN_S = 60
"""A side that says nothing for so long is asked whether it is there: its host may have gone."""
_ASKED_EVERY_S, _ASKED_TIMES = 15, 4
_HAS_LEFT = (7, 8)  # states of TCP in linux/tcp_states.h: closed; closed by the other side
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a RST


def lively(side: socket.socket) -> None:
    """Send what is there at once, and notice when the other host is gone. Raises OSError."""
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    side.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ALIVE_WITHIN_S)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _ASKED_EVERY_S)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _ASKED_TIMES)


def has_left(side: socket.socket) -> bool:
    """Whether the other end has closed, though bytes of its may be unread. Raises OSError."""
    return side.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _HAS_LEFT


async def linger(side: socket.socket) -> None:
    """Say that this was all, and let the other end read that, whatever it still says."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        side.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(LINGERS_S):
            while await loop.sock_recv(side, CHUNK_BYTES):
                pass


def close(side: socket.socket, *, harsh: bool) -> None:
    """Close it; `harsh`: with a reset."""
    with suppress(OSError):
        if harsh:
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        side.close()
