"""tcp-proxy: what passes a proxy of ours comes late, slowly, in pieces or not at all, while held.

The proxy listens, passing through, from the campaign's first phase to its end (or as long as its worker, by
`--proxy`); what is tested is told to connect to it. Nothing that passes is lost at the revert.
"""

from typing import Annotated, Literal

import msgspec

from workers.chaos import units
from workers.chaos.contract import Kind
from workers.chaos.network.proxied import HostPort, Port, Proxied, want_of
from workers.chaos.network.proxy_wire import Effect
from workers.contract.errors import FaultError

Status = Annotated[int, msgspec.Meta(ge=200, le=599)]
LEAST_RATE_BYTES_PER_S = 64.0
"""A thinner link would hand on nothing for seconds."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """listen: the proxy's port, on the address `bind`. upstream: HOST:PORT that it leads to.

    latency, jitter: durations added to a round trip (half of it each way; with `direction` all of it
    there). rate: size per second, of each direction over all connections. slice: size of the pieces that
    bytes are sent in, `slice_gap` apart. reset_after: a duration or a size, then a connection is reset.
    truncate_after: a size, then a connection is closed as if all were said. blackhole: nothing is passed
    on until the end. refuse: no new connection. status: HTTP requests are answered with it, and `body`,
    in the upstream's place. share: of the connections, with `status` of the requests, that it is for.
    direction: up (what clients send), down (what they are sent) or both.
    """

    listen: Port
    upstream: HostPort
    bind: str = "127.0.0.1"
    latency: str | None = None
    jitter: str | None = None
    rate: str | None = None
    slice: str | None = None
    slice_gap: str | None = None
    reset_after: str | None = None
    truncate_after: str | None = None
    blackhole: bool = False
    refuse: bool = False
    status: Status | None = None
    body: str | None = None
    share: str | None = None
    direction: Literal["both", "up", "down"] = "both"


def tcp_proxy(options: Options) -> Proxied:
    """Delay, slow down, cut up, reset, swallow, refuse or answer what passes a proxy on its way."""
    want = want_of(options.listen, options.upstream, options.bind)
    return Proxied(want, _effect(options))


def _effect(options: Options) -> Effect:
    """What the options come to. Raises FaultError."""
    after_s, after_bytes = _reset(options.reset_after)
    effect = Effect(
        key="",
        until_s=0.0,
        share=1.0 if options.share is None else units.share(options.share, option="share"),
        direction=options.direction,
        latency_s=_seconds(options.latency, "latency"),
        jitter_s=_seconds(options.jitter, "jitter"),
        rate_bytes_per_s=_rate(options.rate),
        slice_bytes=_size(options.slice, "slice"),
        slice_gap_s=_seconds(options.slice_gap, "slice_gap"),
        reset_after_s=after_s,
        reset_after_bytes=after_bytes,
        truncate_after_bytes=_size(options.truncate_after, "truncate_after") or None,
        blackhole=options.blackhole,
        refuse=options.refuse,
        speaks="http" if options.status is not None else "",
        answer="status" if options.status is not None else "",
        status=options.status or 0,
        body=options.body or "",
    )
    _check(options, effect)
    return effect


def _check(options: Options, effect: Effect) -> None:
    """Raise FaultError where the options do nothing, or exclude one another."""
    alone = [name for name in ("blackhole", "refuse", "status") if getattr(options, name)]
    shaped = [
        name
        for name in ("latency", "jitter", "rate", "slice", "reset_after", "truncate_after")
        if getattr(options, name) is not None
    ]
    if not alone and not shaped:
        raise FaultError(
            "say what happens to what passes: latency, jitter, rate, slice, reset_after, truncate_after, "
            "blackhole, refuse or status"
        )
    if len(alone) > 1 or (alone and shaped):
        raise FaultError(f"{alone[0]} goes with none of {', '.join([*alone[1:], *shaped])}")
    if options.reset_after is not None and options.truncate_after is not None:
        raise FaultError("say one of reset_after, truncate_after")
    if options.slice_gap is not None and options.slice is None:
        raise FaultError("slice_gap is the time between pieces: say `slice`, their size, too")
    if options.body is not None and options.status is None:
        raise FaultError("body is that of an HTTP answer: say its `status` too")
    if 0 < effect.rate_bytes_per_s < LEAST_RATE_BYTES_PER_S:
        raise FaultError(f"rate {options.rate}: say at least {LEAST_RATE_BYTES_PER_S:g}B/s")


def _reset(text: str | None) -> tuple[float | None, int | None]:
    """A duration, else a size."""
    if text is None:
        return None, None
    if text.strip().endswith("B"):
        return None, max(1, units.size_bytes(text, option="reset_after"))
    return units.seconds(text, option="reset_after"), None


def _seconds(text: str | None, option: str) -> float:
    return 0.0 if text is None else units.seconds(text, option=option)


def _size(text: str | None, option: str) -> int:
    if text is None:
        return 0
    found = units.size_bytes(text, option=option)
    if not found:
        raise FaultError(f"{option} {text}: say at least 1B")
    return found


def _rate(text: str | None) -> float:
    return 0.0 if text is None else units.bytes_per_second(text, option="rate")


KIND = Kind(tcp_proxy, Options, scales=("latency", "jitter", "share"))
