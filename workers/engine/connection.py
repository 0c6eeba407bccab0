"""Connections to one endpoint: resolve, check the address, connect to that very address, speak TLS."""

import contextlib
import errno
import ipaddress
import os
import time
from dataclasses import dataclass
from typing import Any, Final

import gevent
from gevent import socket, ssl
from gevent.lock import BoundedSemaphore

from workers.engine.endpoint import Endpoint

RESOLVED_FOR_NS: Final = 1_000_000_000
"""An answer of DNS serves the connections of one second, so that a burst of them is no burst of lookups."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""This machine's limits: descriptors, local ports, memory."""


class NoConnectionError(Exception):
    """No connection to the target; says where and why. `exhausted`: for want of sockets here."""

    def __init__(self, text: str, *, exhausted: bool) -> None:
        super().__init__(text)
        self.exhausted = exhausted


@dataclass(slots=True)
class Connection:
    """An open socket. `idle_ns`: since when it waits (monotonic); `used`: it carried a request before.

    `streamed`: its last answer was a stream.
    """

    socket: Any
    idle_ns: int = 0
    used: bool = False
    streamed: bool = False

    def is_stale(self) -> bool:
        """Whether the server closed it or said something unasked while it was idle; one system call."""
        sock = self.socket
        sock.settimeout(0.0)
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.recv(1)  # a session ticket is swallowed here and is no sign of death
            else:
                sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            sock.settimeout(None)
        return True

    def close(self) -> None:
        """Close at once; never raises."""
        with contextlib.suppress(OSError):
            self.socket.close()


class Connector:
    """Opens connections to one endpoint; remembers resolved addresses for a second."""

    __slots__ = ("_addresses", "_endpoint", "_fresh_until_ns", "_lock")

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._addresses = _literal(endpoint.host)
        self._fresh_until_ns = 0
        self._lock = BoundedSemaphore()

    def connect(self, limit_s: float) -> Connection:
        """Open a connection within `limit_s`; each resolved address gets its share of the time that is left.

        Raises NoConnectionError; TargetRefusedError where no address may be connected to.
        """
        endpoint = self._endpoint
        deadline_s = time.monotonic() + limit_s
        addresses = endpoint.allow.permitted(endpoint.host, endpoint.port, addresses=self._resolve(limit_s))
        texts: list[str] = []
        exhausted = False
        for index, address in enumerate(addresses):
            left_s = max(deadline_s - time.monotonic(), 0.001) / (len(addresses) - index)
            try:
                return _open(endpoint, address=address, limit_s=left_s)
            except NoConnectionError as error:  # kept as text: a kept exception holds this frame in a cycle
                texts.append(str(error))
                exhausted = error.exhausted
        raise NoConnectionError("; ".join(texts), exhausted=exhausted)

    def _resolve(self, limit_s: float) -> list[str]:
        host, port = self._endpoint.host, self._endpoint.port
        if self._fresh_until_ns == 0 and self._addresses:
            return self._addresses
        try:
            with gevent.Timeout(limit_s, TimeoutError("no answer")), self._lock:
                if time.monotonic_ns() >= self._fresh_until_ns:
                    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                    self._addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
                    self._fresh_until_ns = time.monotonic_ns() + RESOLVED_FOR_NS
        except (OSError, UnicodeError) as error:
            raise NoConnectionError(f"cannot resolve {host}: {_reason(error)}", exhausted=False) from None
        return self._addresses


def _literal(host: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return []


def _open(endpoint: Endpoint, *, address: str, limit_s: float) -> Connection:
    where = f"[{address}]:{endpoint.port}" if ":" in address else f"{address}:{endpoint.port}"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock: Any = None
    step = "connecting to"
    try:
        with gevent.Timeout(limit_s, TimeoutError(f"no answer within {limit_s:.3g} s")):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, endpoint.port))
            if endpoint.context is not None:
                step = "TLS with"
                name = endpoint.server_name or endpoint.host
                sock = endpoint.context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
                sock.do_handshake()
    except OSError as error:
        if sock is not None:
            sock.close()
        text = (
            f"{_reason(error)} at {where}"
            if step == "connecting to"
            else f"TLS with {where}: {_reason(error)}"
        )
        raise NoConnectionError(text, exhausted=error.errno in _EXHAUSTED) from None
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    return Connection(sock)


def _reason(error: Exception) -> str:
    """The system's words without Python's decoration: `connection refused`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error.strerror or error).lower().replace("_", " ")
    if isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error)
