"""Connections to one endpoint: resolve, check the address, connect to that very address, speak TLS."""

import errno
import ipaddress
import os
import time
from typing import Any, Final

from gevent import socket
from gevent.lock import BoundedSemaphore

from workers.engine.deadline import LEAST_S, Deadline
from workers.engine.endpoint import Endpoint
from workers.engine.failures import words_of
from workers.engine.open_connection import Connection

RESOLVED_FOR_NS: Final = 1_000_000_000
"""An answer of DNS serves the connections of one second, so that a burst of them is no burst of lookups."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""This machine's limits: descriptors, local ports, memory."""


class NoConnectionError(Exception):
    """No connection to the target; says where and why. `exhausted`: for want of sockets here."""

    def __init__(self, text: str, *, exhausted: bool) -> None:
        super().__init__(text)
        self.exhausted = exhausted


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
            left_s = max(deadline_s - time.monotonic(), LEAST_S) / (len(addresses) - index)
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
            with Deadline(limit_s, TimeoutError("no answer")), self._lock:
                if time.monotonic_ns() >= self._fresh_until_ns:
                    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                    self._addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
                    self._fresh_until_ns = time.monotonic_ns() + RESOLVED_FOR_NS
        except (OSError, UnicodeError) as error:
            text = f"cannot resolve {host}: {words_of(error)}"
            raise NoConnectionError(text, exhausted=_no_descriptor_left()) from None
        return self._addresses


def _literal(host: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return []


def _no_descriptor_left() -> bool:
    """Whether this process can open nothing more; a resolver does not say so."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in _EXHAUSTED
    return False


def _open(endpoint: Endpoint, *, address: str, limit_s: float) -> Connection:
    where = f"[{address}]:{endpoint.port}" if ":" in address else f"{address}:{endpoint.port}"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock: Any = None
    step = "connecting to"
    try:
        with Deadline(limit_s, TimeoutError(f"no answer within {limit_s:.3g} s")):
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
            f"{words_of(error)} at {where}"
            if step == "connecting to"
            else f"TLS with {where}: {words_of(error)}"
        )
        raise NoConnectionError(text, exhausted=error.errno in _EXHAUSTED) from None
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    return Connection(sock)
