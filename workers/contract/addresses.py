"""Where targets are: HOST:PORT as it is compared, and the ceilings that operators set there. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from workers.contract.errors import ContractError

LIMITS_VARIABLE: Final = "SHAKEOUT_TARGET_LIMITS"
"""Comma-separated HOST:PORT=RATE, for coordinators and workers."""
LOOPBACK: Final = "127.0.0.1"
_PORTS: Final = {"http": 80, "https": 443}
_PER_S: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}
_RATE = re.compile(r"(?P<number>\d+(\.\d+)?)/(?P<unit>s|min|h)\Z")
_HERE: Final = ("localhost", "::1", "0.0.0.0", "::")  # noqa: S104  # names of one place, nothing is bound


def address_of(url: str) -> str:
    """HOST:PORT that a URL leads to, the scheme's port filled in; "" where only a worker can tell.

    Several ways to write one place are one: case, a last dot, localhost, ::1, IPv4 inside IPv6.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or "${" in parts.netloc or not parts.hostname:
            return ""
        return joined(parts.hostname, parts.port or _PORTS[parts.scheme])
    except ValueError:
        return ""


def joined(host: str, port: int) -> str:
    """HOST:PORT, an IPv6 address in brackets."""
    host = plain_host(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def apart(address: str) -> tuple[str, int]:
    """Host and port of what `joined` made."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def plain_host(host: str) -> str:
    """A host as it is compared: a name in lower case, an address as the kernel sees it."""
    name = host.rstrip(".").lower()
    if name in _HERE:
        return LOOPBACK
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def is_literal(host: str) -> bool:
    """Whether a host is an address, so that no name has to be resolved."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host, as `plain_host` has it, is an address of loopback."""
    return is_literal(host) and ipaddress.ip_address(host).is_loopback


def parse_limits(entries: Iterable[str]) -> dict[str, float]:
    """Read entries HOST:PORT=RATE, e.g. `10.0.0.5:8000=200/s`: HOST:PORT -> requests per second.

    Of two for one place the lower counts; blank ones are passed over. Raises ContractError that names every
    entry which cannot be read: half a list of limits would be no limit.
    """
    found: dict[str, float] = {}
    broken: list[str] = []
    for entry in filter(None, (text.strip() for text in entries)):
        place, _, said = entry.rpartition("=")
        place = place.strip()
        address = address_of(f"http://{place}") if re.search(r":\d+\Z", place) else ""
        rate = _RATE.match(said.strip())
        per_s = float(rate["number"]) / _PER_S[rate["unit"]] if rate is not None else 0.0
        if not address or not per_s:
            broken.append(entry)
            continue
        found[address] = min(per_s, found.get(address, per_s))
    if broken:
        listed = ", ".join(repr(entry) for entry in broken)
        raise ContractError(
            f"cannot read in the limits of targets: {listed}; write HOST:PORT=RATE, e.g. 10.0.0.5:8000=200/s"
        )
    return found


def limit_at(address: str, limits: Mapping[str, float], *, leads_to: Sequence[str] = ()) -> float | None:
    """The lowest limit on a place, by its name or any address that the name `leads_to`; None without one."""
    if not address or not limits:
        return None
    _, port = apart(address)
    places = (address, *(joined(one, port) for one in leads_to))
    return min((limits[place] for place in places if place in limits), default=None)
