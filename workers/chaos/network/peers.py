"""Which packets a fault of the network is for: hosts and ports as a campaign names them, looked up here."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from workers.contract.addresses import apart
from workers.contract.errors import FaultError

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Direction = Literal["both", "in", "out"]
Transport = Literal["any", "tcp", "udp"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_NETWORKS: Final = 1024
"""A list that is longer is a mistake, and slow to load."""
_TRACKED: Final = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_SIDES: Final = {"both": "to and from", "in": "from", "out": "to"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the options say. No `hosts`: any; no `ports`: any. `loopback`: the host itself may be one."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    transport: Transport = "any"
    direction: Direction = "both"
    loopback: bool = True

    def words(self) -> str:
        """Which packets, for a person; two faults with the same words are for the same packets."""
        kind = "packets" if self.transport == "any" else f"{self.transport} packets"
        hosts = ", ".join(self.hosts) or "any host"
        ports = f", port {', '.join(map(str, self.ports))}" if self.ports else ""
        return f"{kind} {_SIDES[self.direction]} {hosts}{ports}"


@dataclass(frozen=True, slots=True)
class Selection:
    """The same as addresses. `spared`: address and port of the worker's Redis: its packets always pass.

    `tracked`: the kernel knows which connection a packet is of, and where that was meant to lead.
    """

    wanted: Wanted
    networks: tuple[Network, ...]
    spared: tuple[tuple[Address, int], ...]
    tracked: bool = False

    def of(self, version: int) -> tuple[Network, ...]:
        """The networks of IP version 4 or 6."""
        return tuple(network for network in self.networks if network.version == version)

    def single(self) -> tuple[Address, ...]:
        """Those that are one address."""
        return tuple(one.network_address for one in self.networks if one.num_addresses == 1)


def is_everybody(hosts: Iterable[str]) -> bool:
    """Whether all hosts there are, in one IP version at least, stand in the list: this one among them."""
    for host in hosts:
        with suppress(ValueError):
            if ipaddress.ip_network(host.strip(), strict=False).prefixlen == 0:
                return True
    return False


def select(wanted: Wanted, broker: Sequence[str]) -> Selection:
    """Find the addresses behind the names. `broker`: HOST:PORT of each server that must stay within reach.

    Raises FaultError: a name that leads nowhere, hosts that are the worker's own way to Redis, or this host
    itself where that is not meant.
    """
    networks = tuple(dict.fromkeys(network for host in wanted.hosts for network in _networks(host)))
    if len(networks) > MOST_NETWORKS:
        raise FaultError(f"hosts: {len(networks)} addresses; name at most {MOST_NETWORKS}, or CIDRs")
    spared = tuple(dict.fromkeys(_places(broker)))
    selection = Selection(wanted, networks, spared, tracked=_tracks_connections())
    _refuse_redis(selection)
    if not wanted.loopback:
        _refuse_own(selection)
    return selection


def _networks(host: str) -> list[Network]:
    """The network that a host, an address or a CIDR is. Raises FaultError."""
    text = host.strip().strip("[]")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return [_plain(ipaddress.ip_network(address)) for address in _addresses(text)]
    if network.network_address != ipaddress.ip_address(text.partition("/")[0]):
        alone = text.partition("/")[0]
        raise FaultError(f"host {text!r} would be all of {network}: say that, or the address {alone} alone")
    return [_plain(network)]


def _plain(network: Network) -> Network:
    """An IPv4 address inside IPv6 is that IPv4 address, as the kernel sees it."""
    if isinstance(network, ipaddress.IPv6Network) and network.num_addresses == 1:
        mapped = network.network_address.ipv4_mapped
        return network if mapped is None else ipaddress.ip_network(mapped)
    return network


def _addresses(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FaultError(
            f"host {name!r} leads to no address: {error}; say a name, an address or a CIDR"
        ) from error
    return list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))


def _places(broker: Iterable[str]) -> Iterable[tuple[Address, int]]:
    for place in broker:
        host, port = apart(place)
        for network in _networks(host):
            yield network.network_address, port


def _tracks_connections() -> bool:
    """Whether the kernel tracks connections here already: to ask for it would make it begin to."""
    try:
        return int(_TRACKED.read_text()) > 0
    except (OSError, ValueError):
        return False


def _refuse_redis(selection: Selection) -> None:
    """A host that is named, and is where Redis is, cannot both be cut off and be spared."""
    wanted = selection.wanted
    if wanted.transport == "udp":
        return
    named = set(selection.single())
    for address, port in selection.spared:
        if address in named and (not wanted.ports or port in wanted.ports):
            raise FaultError(
                f"refused: {address} port {port} is this worker's Redis, without which it stops: "
                "name other hosts, or `ports` without that one"
            )


def _refuse_own(selection: Selection) -> None:
    for address in selection.single():
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((str(address), 0))
            except OSError:
                continue
        raise FaultError(f"refused: {address} is this host's own: name the other side")
