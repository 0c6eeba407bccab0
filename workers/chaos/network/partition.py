"""partition: the worker's host and others no longer reach each other; Redis alone is spared (nftables)."""

from typing import Annotated

import msgspec

from workers.chaos.contract import Kind
from workers.chaos.network.cut import Cut
from workers.chaos.network.peers import Wanted
from workers.chaos.network.ruleset import HIT


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """hosts: the other side: names, addresses or CIDRs (0.0.0.0/0 and ::/0: everybody else)."""

    hosts: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


def partition(options: Options) -> Cut:
    """Cut this host off from other hosts: every packet, both ways, containers behind this host included.

    Sessions of ssh among them. What the host sends itself passes, and what keeps its own addresses (DHCP,
    neighbour discovery); an address of its own is refused.
    """
    return Cut(Wanted(hosts=options.hosts, loopback=False), action=f"counter name {HIT} drop", probes=True)


KIND = Kind(partition, Options, wide=True)
