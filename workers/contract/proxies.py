"""Proxies that stand for a whole campaign: what is wanted of a worker, and what it shows of them."""

import msgspec

from workers.contract.addresses import LOOPBACK


class ProxyWant(msgspec.Struct, frozen=True):
    """A proxy that a fault needs: it listens on `bind`:`port` and passes everything on to `upstream`.

    `speaks`: http or redis where answers are to be remembered as they pass, else "".
    """

    port: int
    upstream: str
    bind: str = LOOPBACK
    speaks: str = ""

    def words(self) -> str:
        """For people."""
        return f"proxy on port {self.port} to {self.upstream}"


class ProxyShown(msgspec.Struct, frozen=True):
    """A proxy on a worker's card: for which `campaign`, "" where it stands as long as its worker.

    `why`: it does not stand, and why; `refused`: it never will as things are.
    """

    port: int
    upstream: str
    bind: str = LOOPBACK
    speaks: str = ""
    campaign: str = ""
    why: str = ""
    refused: bool = False


def parse_proxy(text: str) -> ProxyWant:
    """Read `LISTEN=HOST:PORT`, LISTEN being a port or ADDRESS:PORT. Raises ValueError."""
    listen, _, upstream = text.partition("=")
    bind, _, port = listen.rpartition(":")
    host, _, upstream_port = upstream.rpartition(":")
    if not host or not _is_port(port) or not _is_port(upstream_port):
        raise ValueError(f"{text!r}: say LISTEN=HOST:PORT, e.g. 9000=store.internal:6379")
    return ProxyWant(int(port), upstream, bind.strip("[]") or LOOPBACK)


def _is_port(text: str) -> bool:
    return text.isdecimal() and 1 <= int(text) <= 65535
