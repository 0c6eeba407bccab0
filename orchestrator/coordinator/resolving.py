"""Names of targets -> their addresses, asked beside the leader's loop: DNS may hang, the loop may not."""

import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from workers.contract.addresses import is_literal, plain_host

FIRST_WITHIN_S: Final = 1.0
"""How long the first question for a name is waited for; what comes later counts from then on."""
AGAIN_S: Final = 60.0
"""A name may come to lead elsewhere."""
MOST_AT_ONCE: Final = 8
"""Questions under way; a resolver that hangs must not pile up threads."""


@dataclass(slots=True)
class _Name:
    """`found`: its addresses; empty where it has none, or nobody has answered yet."""

    asked: float
    found: tuple[str, ...] = ()
    answered: threading.Event = field(default_factory=threading.Event)


class Resolver:
    """What names lead to, as this host sees it."""

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}

    def addresses(self, hosts: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Host -> its addresses, of those that are names and lead anywhere."""
        names = [host for host in dict.fromkeys(hosts) if host and not is_literal(host)]
        until = time.monotonic() + FIRST_WITHIN_S
        for name in names:
            self._ask(name)
        for name in names:
            one = self._names.get(name)
            if one is not None and one.asked > until - FIRST_WITHIN_S:
                one.answered.wait(max(0.0, until - time.monotonic()))
        return {name: self._names[name].found for name in names if name in self._names}

    def _ask(self, name: str) -> None:
        """Ask for it where nobody has for a while; its answer so far stays meanwhile."""
        now = time.monotonic()
        before = self._names.get(name)
        if before is not None and (not before.answered.is_set() or now - before.asked < AGAIN_S):
            return
        if sum(not one.answered.is_set() for one in self._names.values()) >= MOST_AT_ONCE:
            return
        asked = _Name(now, before.found if before is not None else ())
        self._names[name] = asked
        threading.Thread(target=_resolve, args=(name, asked), name="resolve", daemon=True).start()


def _resolve(name: str, into: _Name) -> None:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        into.found = tuple(dict.fromkeys(plain_host(str(entry[4][0])) for entry in found))
    except (OSError, UnicodeError):
        into.found = ()
    finally:
        into.answered.set()
