"""packet-drop: packets of chosen hosts or ports vanish (nftables): nobody is told, senders wait in vain."""

import msgspec

from workers.chaos.contract import Kind
from workers.chaos.network.cut import Cut
from workers.chaos.network.peers import Direction, Port, Transport, Wanted, is_everybody
from workers.chaos.network.ruleset import HIT


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At least one of hosts and ports; both: those ports of those hosts.

    hosts: the other side: names, addresses or CIDRs. ports: of the service, at whichever end it is.
    transport: `any`, `tcp` or `udp`. direction: `both`, `in` (packets that arrive here) or `out`.
    """

    hosts: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    transport: Transport = "any"
    direction: Direction = "both"

    def __post_init__(self) -> None:
        """Refuse what would be everything; that is what `partition` is for."""
        if not self.hosts and not self.ports:
            raise ValueError("say `hosts` or `ports` (to cut a whole host off, use partition)")
        if not self.ports and is_everybody(self.hosts):
            raise ValueError("that is everybody, this host itself too: say `ports`, or use partition")


def packet_drop(options: Options) -> Cut:
    """Drop all packets to and from hosts, ports, or ports of hosts, in the worker's own network."""
    wanted = Wanted(
        hosts=options.hosts, ports=options.ports, transport=options.transport, direction=options.direction
    )
    return Cut(wanted, action=f"counter name {HIT} drop", probes=True)


KIND = Kind(packet_drop, Options)
