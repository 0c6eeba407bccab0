"""What sockets user code may open, and how all of them are silenced.

Python tells an audit hook of every connect, whichever library makes it and however it is patched; once added
the hook stays for the life of the process, which serves one attempt. It holds back mistakes, not malice: code
that starts other programs, or calls the system by itself, is the business of whoever listed its folder.
"""

import _socket
import ipaddress
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent import socket

from workers.contract.errors import TargetRefusedError
from workers.engine.allow import AllowList

LEARN_EVERY_S = 5.0
"""How soon another address of a listed name is known: connects show addresses, never names."""
_ADDRESSED = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_FAMILIES = (_socket.AF_INET, _socket.AF_INET6)


class Gate:
    """The gate that sockets pass: addresses of the allow-list, while sending is allowed.

    `tell` hears of what may not be connected to, for that ends the attempt.
    """

    __slots__ = ("_allow", "_may_send", "_names", "_tell", "shut")

    def __init__(
        self, allow: AllowList, *, may_send: Callable[[], bool], tell: Callable[[BaseException], None]
    ) -> None:
        self._allow = allow
        self._may_send = may_send
        self._tell = tell
        self._names: dict[str, set[str]] = {}
        self.shut = False

    def guard(self) -> None:
        """Watch every socket of this process from now on."""
        self._learn()
        if self._allow.names:
            gevent.spawn(self._go_on_learning)
        sys.addaudithook(self._heard)

    def silence(self) -> None:
        """Let nothing pass any more, and end every network connection that is open."""
        self.shut = True
        for entry in list(Path("/proc/self/fd").iterdir()):
            _shut_down(int(entry.name))

    def _heard(self, event: str, args: tuple[object, ...]) -> None:
        if event not in _ADDRESSED:
            return
        one, address = args
        if isinstance(address, tuple) and getattr(one, "family", None) in _FAMILIES:
            self._judge(str(address[0]), int(address[1]))
        elif isinstance(address, str | bytes):
            self._refuse(f"a locustfile may not speak to the local socket {address!r}")

    def _judge(self, host: str, port: int) -> None:
        if self.shut or not self._may_send():
            raise PermissionError("sending is no longer authorised")
        address = host.partition("%")[0]
        try:
            ipaddress.ip_address(address)
        except ValueError:
            self._refuse(f"a locustfile may connect to addresses alone, not to {host!r}: resolve it first")
        names = self._names.get(address, set())
        if any(self._allow.permits(name, port, address=address) for name in (address, *names)):
            return
        try:
            self._allow.permitted(address, port, addresses=[address])
        except TargetRefusedError as error:
            self._tell(error)
            raise PermissionError(str(error)) from error

    def _refuse(self, why: str) -> None:
        error = TargetRefusedError(f"{why}; nothing was sent to it")
        self._tell(error)
        raise PermissionError(str(error))

    def _go_on_learning(self) -> None:
        while not self.shut:
            gevent.sleep(LEARN_EVERY_S)
            self._learn()

    def _learn(self) -> None:
        """Look up the addresses of the names that are listed; a name keeps those that it had before."""
        for name, _ in self._allow.names:
            try:
                found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                continue
            for entry in found:
                self._names.setdefault(str(entry[4][0]), set()).add(name)


def _shut_down(fd: int) -> None:
    """End the connection behind a descriptor, if it is one; whoever holds it can send nothing more."""
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return
        copy = _socket.socket(fileno=os.dup(fd))
    except OSError:
        return
    try:
        if copy.family in _FAMILIES:
            copy.shutdown(_socket.SHUT_RDWR)
    except OSError:
        pass  # it was not connected
    finally:
        copy.close()
