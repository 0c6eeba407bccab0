"""What this host may run out of while load runs: descriptors and local ports, looked at once a second.

Running out shows as arrivals that were not sent, by the generator's doing; this says so before it happens.
"""

import os
import resource
from pathlib import Path

NEARLY = 0.9
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SOCKETS = Path("/proc/net/sockstat")
_KEPT = ("inuse", "tw")
"""Of the line `TCP:`: sockets in use, and those that wait for a minute after they were closed."""


class Room:
    """Says each shortage once. `descriptors`, `ports`: how many there are; 0 where that cannot be read."""

    __slots__ = ("_said", "_sockets", "descriptors", "ports")

    def __init__(self, *, sockets: Path = _SOCKETS, ports: Path = _PORT_RANGE) -> None:
        self._said: set[str] = set()
        self._sockets = sockets
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.descriptors = soft if soft != resource.RLIM_INFINITY else 0
        self.ports = _ports(ports)

    def warnings(self) -> list[str]:
        """What is nearly used up and was not said yet; some 30 µs."""
        found: dict[str, str] = {}
        if self.descriptors and (used := _descriptors(self.descriptors)) >= NEARLY * self.descriptors:
            found["files"] = (
                f"the engine has {used:,} of {self.descriptors:,} descriptors in use: raise `ulimit -n`"
            )
        if self.ports and (used := self._in_use()) >= NEARLY * self.ports:
            found["ports"] = (
                f"{used:,} TCP sockets are in use or were closed within the last minute, of {self.ports:,} "
                "local ports to one target: keep connections open, or widen net.ipv4.ip_local_port_range"
            )
        new = [text for key, text in found.items() if key not in self._said]
        self._said |= found.keys()
        return new

    def _in_use(self) -> int:
        try:
            lines = self._sockets.read_text().splitlines()
        except OSError:
            return 0
        words = next((line.split() for line in lines if line.startswith("TCP:")), [])
        pairs = dict(zip(words[1::2], words[2::2], strict=False))
        return sum(int(pairs[name]) for name in _KEPT if pairs.get(name, "").isdecimal())


def _descriptors(most: int) -> int:
    """About how many descriptors are open: the lowest free one. Counting them would take milliseconds."""
    try:
        lowest = os.dup(0)
    except OSError:
        return most
    os.close(lowest)
    return lowest


def _ports(path: Path) -> int:
    try:
        low, high = (int(part) for part in path.read_text().split())
    except (OSError, ValueError):
        return 0
    return high - low + 1
