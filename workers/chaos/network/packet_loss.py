"""packet-loss: a share of packets vanishes at random, as on a bad line (nftables)."""

import msgspec

from workers.chaos import units
from workers.chaos.contract import Kind
from workers.chaos.network.cut import Cut
from workers.chaos.network.peers import Direction, Port, Transport, Wanted, is_everybody
from workers.chaos.network.ruleset import HIT
from workers.contract.errors import FaultError

_OF = 1_000_000


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At least one of hosts and ports; both: those ports of those hosts.

    share: of the packets, a percentage above 0%. hosts: the other side: names, addresses or CIDRs. ports:
    of the service, at whichever end it is. transport: `any`, `tcp` or `udp`. direction: `both`, `in`
    (packets that arrive here) or `out`. The kernel draws the chances; no seed makes them come again.
    """

    share: str
    hosts: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    transport: Transport = "any"
    direction: Direction = "both"

    def __post_init__(self) -> None:
        """Refuse what would be every packet of the host."""
        if not self.hosts and not self.ports:
            raise ValueError("say `hosts` or `ports`")
        if not self.ports and is_everybody(self.hosts):
            raise ValueError("that is everybody, this host itself too: name the other side, or say `ports`")


def packet_loss(options: Options) -> Cut:
    """Drop a share of the packets to and from hosts, ports, or ports of hosts, each by its own chance."""
    chance = round(units.share(options.share, option="share") * _OF)
    if chance < 1:
        raise FaultError(f"share {options.share}: must be above 0%, at least 0.0001%")
    wanted = Wanted(
        hosts=options.hosts, ports=options.ports, transport=options.transport, direction=options.direction
    )
    drawn = "" if chance == _OF else f"numgen random mod {_OF} < {chance} "
    return Cut(wanted, action=f"{drawn}counter name {HIT} drop")


KIND = Kind(packet_loss, Options, scales=("share",))
