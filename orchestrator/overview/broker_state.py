"""What is wrong with the fleet's Redis, for `status`: said where everybody looks. Pure."""

from collections.abc import Mapping
from typing import Any, Final

TIGHT, FULL = 0.8, 0.98
"""Shares of maxmemory. What a server counts of it goes up and down with the buffers of its clients."""
_FAILED: Final = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
_MIB = 2**20


def broker_trouble(info: Mapping[str, Any]) -> str:
    """What an operator should do about a server that says this of itself; "" where all is well."""
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    share = used / most if most else 0.0
    words = f"{used / _MIB:,.1f} of {most / _MIB:,.1f} MiB used"
    if share > FULL:
        return (
            f"its memory is full (maxmemory), {words}: what runs goes on and ends, nothing new is "
            "taken; give it more, or delete other people's keys"
        )
    if any(info.get(name, "ok") != "ok" for name in _FAILED):
        return "it cannot save to its disk: make room there and read the server's log"
    if info.get("role", "master") != "master":
        return "it is a replica and takes no writes: use the primary's address"
    if share > TIGHT:
        return f"its memory is almost full, {words}: raise maxmemory"
    return ""
