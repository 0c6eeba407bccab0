"""The nftables rules of one fault as text: which packets, what is done to them, and until when. Pure."""

from collections.abc import Iterator
from typing import Final, Literal

from workers.chaos.network.peers import Selection

Place = Literal["host", "way out"]
"""Where rules see packets: on their way into, out of and through the host; or as they leave by a device."""

HIT: Final = "hit"
"""The counter of packets that something is done to."""
_BITS: Final = {4: "ip", 6: "ip6"}
_NEIGHBOURS: Final = (
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept"
)
_OWN_ADDRESS: Final = "meta l4proto udp th sport { 67, 68, 546, 547 } th dport { 67, 68, 546, 547 } accept"
"""DHCP, of both versions: a lease that ends meanwhile would outlast the fault."""


def ruleset(selection: Selection, *, name: str, action: str, place: Place, timeout_s: float) -> str:
    """A table that does `action` to the packets selected, for at most `timeout_s`.

    The action is done once to a packet, though it match twice. Counters: `hit`, which the action counts in,
    and `seen`, all that were selected. Let through before anything is asked: the worker's Redis, and what
    finds neighbours and routers of IPv6, without which that Redis would soon be out of reach as well (what
    does it for IPv4, ARP, comes by no rule). A host that is cut off from all keeps its own address, too.
    Source: RFC 4890 section 4.4.1.
    """
    lifetime = f"timeout {max(1, round(timeout_s * 1000))}ms"
    families = f"ipv4 {lifetime}, ipv6 {lifetime}"
    lines = [
        f"create table inet {name}",
        f"table inet {name} {{",
        "counter seen { }",
        f"counter {HIT} {{ }}",
        f"set armed {{ typeof meta nfproto; flags timeout; elements = {{ {families} }}; }}",
        *_sets(selection),
        f"chain does {{ counter name seen {action}; }}",
        *_chains(selection, place),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _sets(selection: Selection) -> Iterator[str]:
    for version, family in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        if networks := _bounded(selection, version):
            kind = f"type {family}; flags interval; auto-merge"
            yield f"set peers{version} {{ {kind}; elements = {{ {', '.join(networks)} }}; }}"
    if wanted := sorted(set(selection.wanted.ports)):
        yield f"set ports {{ type inet_service; elements = {{ {', '.join(map(str, wanted))} }}; }}"


def _chains(selection: Selection, place: Place) -> Iterator[str]:
    direction = selection.wanted.direction
    sides = {"both": ("saddr", "daddr"), "in": ("saddr",), "out": ("daddr",)}[direction]
    if place == "way out":
        yield from _chain("leaving", selection, ("daddr",))
        yield _hook("postrouting", "mangle", "leaving", before="")
        return
    alone = "" if selection.wanted.loopback else 'oifname "lo" return; '
    # what the host sends itself passes both ways: once is enough
    twice = "" if selection.wanted.loopback and direction != "both" else 'iifname "lo" return; '
    if direction != "out":
        yield from _chain("arriving", selection, ("saddr",))
        yield _hook("input", "filter - 5", "arriving", before=twice)
    if direction != "in":
        yield from _chain("leaving", selection, ("daddr",))
        yield _hook("output", "filter - 5", "leaving", before=alone)
    yield from _chain("passing", selection, sides)
    yield _hook("forward", "filter - 5", "passing", before="")


def _hook(hook: str, priority: str, chain: str, *, before: str) -> str:
    armed = f"meta nfproto @armed jump {chain};"
    return (
        f"chain at_{hook} {{ type filter hook {hook} priority {priority}; policy accept; {before}{armed} }}"
    )


def _chain(name: str, selection: Selection, sides: tuple[str, ...]) -> Iterator[str]:
    yield f"chain {name} {{"
    yield _NEIGHBOURS
    if not selection.wanted.loopback:
        yield _OWN_ADDRESS
    for address, port in selection.spared:
        for side in ("saddr", "daddr"):
            end = "sport" if side == "saddr" else "dport"
            yield f"{_BITS[address.version]} {side} {address} tcp {end} {port} accept"
        if selection.tracked:  # an address that stands for others, a service of Kubernetes say
            bits = _BITS[address.version]
            yield f"meta l4proto tcp ct original {bits} daddr {address} ct original proto-dst {port} accept"
    yield from dict.fromkeys(
        f"{peers}{ports}goto does"
        for side in sides
        for peers in _peers(selection, side)
        for ports in _ports(selection)
    )
    yield "}"


def _peers(selection: Selection, side: str) -> list[str]:
    """One match for each family that is named; one that fits all where none is."""
    if not selection.networks:
        return [""]
    found: list[str] = []
    for version, family in _BITS.items():
        networks = selection.of(version)
        if any(network.prefixlen == 0 for network in networks):
            found.append(f"meta nfproto ipv{version} ")
        elif networks:
            found.append(f"{family} {side} @peers{version} ")
    return found


def _ports(selection: Selection) -> list[str]:
    """A port counts at either end: of the service, it is the other one that was drawn at random."""
    wanted = selection.wanted
    kinds = "{ tcp, udp }" if wanted.transport == "any" else wanted.transport
    if wanted.ports:
        return [f"meta l4proto {kinds} th {end} @ports " for end in ("sport", "dport")]
    return [""] if wanted.transport == "any" else [f"meta l4proto {kinds} "]


def _bounded(selection: Selection, version: int) -> list[str]:
    """What goes into the set; none where everybody is meant."""
    networks = selection.of(version)
    return [] if any(one.prefixlen == 0 for one in networks) else list(map(str, networks))
