"""How much memory may be taken here, and what must stay so that the kernel ends neither worker nor target."""

from workers.chaos.host import cgroups, readings

_LEAST_FLOOR_BYTES = 256 * 1024**2
_FLOOR_SHARE = 0.02


def available_bytes() -> int:
    """Return what can be taken without swapping: of the host, and of this process's groups."""
    room = cgroups.memory_room_bytes()
    host = readings.memory_bytes("MemAvailable")
    return host if room is None else min(host, room)


def floor_bytes() -> int:
    """Return what must stay available: 2% of the host's memory, at least 256 MiB."""
    return max(_LEAST_FLOOR_BYTES, round(_FLOOR_SHARE * readings.memory_bytes("MemTotal")))
