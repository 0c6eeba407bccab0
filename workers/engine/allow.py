"""Which targets this worker may load: loopback, and what its operator listed.

The list is judged on the address that is connected to, so a name that changes its address in between gains
nothing.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workers.contract.errors import TargetRefusedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_BRACKETED = re.compile(r"\[(?P<host>[^\]]+)\](?::(?P<port>\d+))?\Z")
_PLAIN = re.compile(r"(?P<host>[^:]+)(?::(?P<port>\d+))?\Z")
_FORMS = "write host, host:port, 10.0.0.0/8, [v6] or [v6]:port"


@dataclass(frozen=True, slots=True)
class AllowList:
    """Entries beside loopback. A port of None is every port; names are lower-case, with no last dot."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[Network, int | None], ...] = field(default=())

    def permits(self, host: str, port: int, *, address: str) -> bool:
        """Whether one may connect to `address` (an IP literal) at `port`, which `host` of the URL led to."""
        where = _plain_address(address)
        if where.is_loopback:
            return True
        name = _plain_name(host)
        if (name, None) in self.names or (name, port) in self.names:
            return True
        return any(_within(where, network) and only in (None, port) for network, only in self.networks)

    def permitted(self, host: str, port: int, *, addresses: Sequence[str]) -> list[str]:
        """Those of `addresses` that may be connected to, in order; TargetRefusedError if there is none."""
        allowed = [address for address in addresses if self.permits(host, port, address=address)]
        if allowed:
            return allowed
        shown = f"[{host}]" if ":" in host else host
        found = ", ".join(addresses[:4]) + (", ..." if len(addresses) > 4 else "")
        via = "" if found == host else f" ({found})"
        raise TargetRefusedError(
            f"target {shown}:{port}{via} is not on this worker's allow-list; nothing was sent to it. "
            f"If this worker may load it, start the worker with --allow-target {shown}:{port} "
            f"(or SHAKEOUT_ALLOW_TARGETS)"
        )


def parse_allow_list(entries: Iterable[str]) -> AllowList:
    """Read entries `host`, `host:port`, CIDR, `[v6]` or `[v6]:port`; blank ones are passed over.

    An address is a network of one. Raises TargetRefusedError that names every entry that cannot be read: a
    list that is half understood allows nothing.
    """
    names: set[tuple[str, int | None]] = set()
    networks: list[tuple[Network, int | None]] = []
    broken: list[str] = []
    for entry in (text.strip() for text in entries):
        if not entry:
            continue
        parsed = _parse(entry)
        if parsed is None:
            broken.append(entry)
        elif isinstance(parsed[0], str):
            names.add((parsed[0], parsed[1]))
        else:
            networks.append((parsed[0], parsed[1]))
    if broken:
        listed = ", ".join(repr(entry) for entry in broken)
        raise TargetRefusedError(f"cannot read in the allow-list of targets: {listed}; {_FORMS}")
    return AllowList(frozenset(names), tuple(networks))


def _parse(entry: str) -> tuple[str | Network, int | None] | None:
    network = _network(entry)
    if network is not None:
        return network, None
    match = _BRACKETED.match(entry) or _PLAIN.match(entry)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= 65535:
        return None
    host = match["host"]
    network = _network(host)
    if network is not None:
        return network, port
    name = _plain_name(host)
    looks_numeric = re.fullmatch(r"[0-9.]+", name) is not None
    return None if looks_numeric or entry.startswith("[") or not _NAME.match(name) else (name, port)


def _network(text: str) -> Network | None:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if (
        isinstance(network, ipaddress.IPv6Network)
        and network.network_address.ipv4_mapped
        and network.prefixlen >= 96
    ):
        return ipaddress.ip_network(
            (network.network_address.ipv4_mapped, network.prefixlen - 96), strict=False
        )
    return network


def _plain_name(host: str) -> str:
    name = host.rstrip(".").lower()
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _plain_address(text: str) -> Address:
    """Read an IP literal; an IPv4 address inside IPv6 is that IPv4 address, as the kernel sees it."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
