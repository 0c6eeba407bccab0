"""The way on: the upstream's addresses, which of them this worker may connect to, a connection to one."""

import asyncio
import socket
import time
from dataclasses import dataclass, field

from workers.contract.addresses import apart, is_loopback, plain_host
from workers.contract.errors import TargetRefusedError
from workers.engine.allow import AllowList

CONNECT_WITHIN_S = 30.0
"""An upstream that does not answer keeps its client waiting so long, then the client is cut off."""
RESOLVED_FOR_S = 5.0
"""How long the addresses of a name are believed: services move by changing them."""

_Found = tuple[tuple[socket.AddressFamily, tuple[str, int]], ...]


@dataclass(slots=True)
class Upstream:
    """One HOST:PORT. `allowed`: the operator's list, judged on the address that is connected to.

    `loopback`: whether it may lead to this host's loopback, which the list always allows.
    """

    address: str
    allowed: AllowList
    loopback: bool = True
    _found: _Found = ()
    _found_s: float = field(default=float("-inf"))
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def connect(self) -> socket.socket:
        """A connection to the first address that takes one.

        Raises OSError, and TargetRefusedError where none of them may be connected to.
        """
        failed: OSError = ConnectionRefusedError(f"{self.address} has no address")
        for family, place in await self.addresses():
            line = socket.socket(family, socket.SOCK_STREAM)
            line.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_WITHIN_S):
                    await asyncio.get_running_loop().sock_connect(line, place)
            except OSError as error:
                line.close()
                failed = error
            except BaseException:
                line.close()
                raise
            else:
                return line
        raise failed

    async def addresses(self) -> _Found:
        """Those that may be connected to. Raises OSError, and TargetRefusedError where there are none."""
        async with self._asking:  # once, for however many clients
            if time.monotonic() - self._found_s >= RESOLVED_FOR_S:
                self._found = await self._permitted()
                self._found_s = time.monotonic()
            return self._found

    async def _permitted(self) -> _Found:
        host, port = apart(self.address)
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        literals = [str(info[4][0]) for info in infos]
        permitted = set(self.allowed.permitted(host, port, addresses=literals))
        if not self.loopback:
            permitted = {one for one in permitted if not is_loopback(plain_host(one))}
        if not permitted:
            raise TargetRefusedError(
                f"upstream {self.address} is on loopback, and the proxy is not: what only this host can "
                "reach is shown to others by its operator alone, with `--proxy` (no allow-list does that)"
            )
        return tuple(
            (info[0], (one, port)) for info, one in zip(infos, literals, strict=True) if one in permitted
        )


async def refused(upstream: Upstream) -> str:
    """Why this worker may not connect there, in words; empty where it may, or a name has no address now."""
    try:
        await upstream.addresses()
    except TargetRefusedError as error:
        return str(error)
    except OSError:
        return ""
    return ""
