"""A fault that a proxy of ours holds: begun, looked at and ended over the proxy's control socket.

The proxy passes everything through before and after, and lets go by itself at the fault's time limit.
"""

from typing import Annotated

import msgspec
from msgspec.structs import replace

from workers.chaos.contract import Scene
from workers.chaos.network.proxy_wire import (
    Clear,
    Effect,
    Inject,
    Look,
    ProxyAwayError,
    Standing,
    ask,
    folder_of,
    home_of,
)
from workers.contract.addresses import apart, is_literal
from workers.contract.errors import FaultError
from workers.contract.proxies import ProxyWant

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
HostPort = Annotated[str, msgspec.Meta(pattern=r"^[^\s:\[\]]+:\d{1,5}$|^\[[0-9A-Fa-f:.]+\]:\d{1,5}$")]
MOST_PORT = 65535
PROBE_WITHIN_S = 0.5
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound, only recognised


class Proxied:
    """One effect of one proxy. tcp-proxy and dependency are made of it: they say which."""

    def __init__(self, want: ProxyWant, effect: Effect) -> None:
        """`effect`: all of it but for what the scene says. Raises FaultError where nobody would feel it."""
        if not effect.share:
            raise FaultError("share 0%: it would be felt by nobody")
        self._want, self._effect = want, effect

    def proxy(self) -> ProxyWant:
        """The proxy that has to stand for it."""
        return self._want

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """The proxy, by its port."""
        return (self._want.words(),)

    def check(self, scene: Scene) -> None:
        """The proxy must stand, lead to this upstream, and hold nothing else."""
        try:
            standing = self._ask(scene, Look())
        except ProxyAwayError as error:
            raise FaultError(
                f"{error}: the campaign's own stands from its first phase on; one that stands as long as the "
                f"worker is asked for by `--proxy {self._want.port}={self._want.upstream}`"
            ) from error
        place = f"the proxy on port {self._want.port}"
        if standing.upstream != self._want.upstream:
            raise FaultError(f"{place} leads to {standing.upstream}, not to {self._want.upstream}")
        if standing.held not in ("", scene.key):
            raise FaultError(f"{place} holds another fault already: one at a time; end that one first")

    def foresee(self, scene: Scene) -> None:
        """Before the campaign: whether a proxy could stand there."""
        try:
            self._ask(scene, Look())
        except ProxyAwayError as error:
            if error.lives:
                raise
            _try_to_listen(self._want)
        else:
            self.check(scene)

    def inject(self, scene: Scene) -> None:
        """Let the proxy hold it; it lets go by itself when its time is over."""
        effect = replace(self._effect, key=scene.key, until_s=scene.until_s, seed=scene.seed)
        standing = self._ask(scene, Inject(effect))
        if standing.wrong:
            raise FaultError(f"the proxy on port {self._want.port}: {standing.wrong}")

    def verify(self, scene: Scene) -> str:
        """By the proxy's counters of what it did something to; that all are refused, by trying."""
        try:
            standing = self._ask(scene, Look())
        except ProxyAwayError as error:
            return str(error)
        if standing.held != scene.key:
            return f"the proxy on port {self._want.port} does not hold it any more"
        if self._effect.refuse and self._effect.share >= 1:
            return _lets_in(standing)
        return _untouched(standing, self._effect)

    def revert(self, scene: Scene) -> None:
        """Let everything pass again; a proxy that has ended passes nothing, and holds nothing."""
        try:
            self._ask(scene, Clear(scene.key))
        except ProxyAwayError as error:
            if error.lives:
                raise

    def residue(self, scene: Scene) -> str:
        """The proxy may not hold it any more, and must say so."""
        try:
            standing = self._ask(scene, Look())
        except ProxyAwayError as error:
            return str(error) if error.lives else ""
        held = standing.held == scene.key
        return f"the proxy on port {self._want.port} still holds it" if held else ""

    def did(self, scene: Scene) -> dict[str, int]:
        """What passed meanwhile, how much of it was chosen, and to how much something was done."""
        try:
            standing = self._ask(scene, Look())
        except ProxyAwayError:
            return {}
        if standing.counted != scene.key:
            return {}
        counts = standing.counts
        what = "requests" if self._effect.answer else "connections"
        return {what: counts.passed, "chosen": counts.chosen, "affected": counts.touched}

    def _ask(self, scene: Scene, command: Look | Inject | Clear) -> Standing:
        return ask(folder_of(home_of(scene), self._want.port), command)


def want_of(listen: int, upstream: str, bind: str, speaks: str = "") -> ProxyWant:
    """The proxy that options name. Raises FaultError."""
    _, port = apart(upstream)
    if not 1 <= port <= MOST_PORT:
        raise FaultError(f"upstream {upstream}: port {port}: say 1 to {MOST_PORT}")
    if not is_literal(bind):
        raise FaultError(f"bind {bind}: say an address of the worker's host, e.g. 127.0.0.1 or 0.0.0.0")
    return ProxyWant(listen, upstream, bind, speaks)


def _try_to_listen(want: ProxyWant) -> None:
    """Raise FaultError where a proxy could not listen."""
    import socket  # noqa: PLC0415  # a guardian that has nothing to do with proxies starts without it

    family = socket.AF_INET6 if ":" in want.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((want.bind, want.port))
        except OSError as failure:
            raise FaultError(
                f"no proxy could listen on {want.bind} port {want.port}: {failure.strerror}; say another "
                "`listen`, or end what listens there"
            ) from failure


def _untouched(standing: Standing, effect: Effect) -> str:
    """Why the effect was not felt by anybody yet; empty where it was."""
    counts = standing.counts
    if counts.touched:
        return ""
    port, what = standing.port, "request" if effect.answer else "connection"
    if not counts.passed:
        return (
            f"no {what} has passed the proxy on port {port} while it was held: does what is tested connect "
            f"there, instead of to {standing.upstream}?"
        )
    if not counts.chosen:
        return f"{counts.passed} {what}s passed the proxy on port {port}, none within the share chosen"
    if effect.answer == "stale":
        return (
            f"none of {counts.chosen} requests had been answered before: {standing.remembered} answers are "
            "remembered"
        )
    if effect.answer == "wrong":
        return (
            f"of {counts.chosen} requests chosen no answer could be changed: JSON over HTTP, or Redis values"
        )
    if effect.answer:
        return f"none of {counts.chosen} requests chosen could be answered in the upstream's place"
    return f"{counts.chosen} connections are open, and none of them has sent or received anything yet"


def _lets_in(standing: Standing) -> str:
    """Whether a client of our own gets a connection."""
    import socket  # noqa: PLC0415  # a guardian that has nothing to do with proxies starts without it

    host = _ANYWHERE.get(standing.bind, standing.bind)
    try:
        socket.create_connection((host, standing.port), PROBE_WITHIN_S).close()
    except ConnectionRefusedError:
        return ""
    except OSError as error:
        return f"a client of ours was not refused on port {standing.port}: {error}"
    return f"a client of ours was not refused on port {standing.port}"
