"""dependency: a feature store or cache that is there, and answers with nothing, old values, late or wrongly.

In place of it stands a proxy of ours, as for tcp-proxy, which reads what passes: HTTP or the Redis protocol.
"""

from typing import Literal

import msgspec

from workers.chaos import units
from workers.chaos.contract import Kind
from workers.chaos.network.proxied import HostPort, Port, Proxied, want_of
from workers.chaos.network.proxy_wire import Effect
from workers.contract.errors import FaultError

SLOW_S = 1.0
"""How late an answer is where nothing is said."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """listen, upstream, bind: of the proxy in its place, as for tcp-proxy. speaks: what is spoken there.

    answer: empty (HTTP: 200 with `body`, by default {}; Redis: as one that has no keys), stale (what the
    same request was answered before; others pass), slow (`latency` later, by default 1s, give or take
    `jitter`), wrong (numbers, texts and truths of a JSON or Redis answer are others, its shape stays).
    Redis: only commands that read, outside of MULTI, are answered so. share: of the requests.
    """

    listen: Port
    upstream: HostPort
    answer: Literal["empty", "stale", "slow", "wrong"]
    speaks: Literal["http", "redis"] = "http"
    bind: str = "127.0.0.1"
    latency: str | None = None
    jitter: str | None = None
    body: str | None = None
    share: str | None = None


def dependency(options: Options) -> Proxied:
    """Answer in place of a dependency, or let its answers be late or wrong."""
    if options.answer != "slow" and (options.latency or options.jitter):
        raise FaultError(f"latency and jitter go with `answer: slow`, not with {options.answer}")
    if options.body is not None and (options.answer, options.speaks) != ("empty", "http"):
        raise FaultError("body goes with `answer: empty` over http alone")
    late_s = SLOW_S if options.latency is None else units.seconds(options.latency, option="latency")
    effect = Effect(
        key="",
        until_s=0.0,
        share=1.0 if options.share is None else units.share(options.share, option="share"),
        direction="down",
        latency_s=late_s if options.answer == "slow" else 0.0,
        jitter_s=units.seconds(options.jitter, option="jitter") if options.jitter else 0.0,
        speaks=options.speaks,
        answer=options.answer,
        body=options.body or "",
    )
    return Proxied(want_of(options.listen, options.upstream, options.bind, options.speaks), effect)


KIND = Kind(dependency, Options, scales=("latency", "jitter", "share"))
