"""Functions of Chaos Toolkit's extensions that have an equal here, and why the others have none. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.chaostoolkit.experiment import Function, Step
from orchestrator.chaostoolkit.meanings import (
    Meaning,
    Pause,
    Prepares,
    Undo,
    Unmapped,
    Wanted,
    ms,
    number,
    percentage,
)

Arguments = Mapping[str, object]

_TOXIC: Final = "chaostoxi.toxic.actions"
_PROXY: Final = "chaostoxi.proxy.actions"
_WHY: Final[Mapping[str, str]] = {
    "chaosk8s": "Kubernetes' objects are not touched: run a worker where the pod runs and say kill-process, "
    "or call kubectl from a `command` fault",
    "chaosaws": "clouds are not touched: say a `command` fault that calls the cloud's own tool",
    "chaosazure": "clouds are not touched: say a `command` fault that calls the cloud's own tool",
    "chaosgcp": "clouds are not touched: say a `command` fault that calls the cloud's own tool",
    "chaosgce": "clouds are not touched: say a `command` fault that calls the cloud's own tool",
    "chaosprometheus": "a query is no step here: say `alert(NAME)` or `metric(NAME)` in `expect`",
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of Toxiproxy that the experiment itself makes."""

    listen: int
    upstream: str
    bind: str


def proxies_of(steps: tuple[Step, ...]) -> dict[str, Proxy]:
    """Proxies that the experiment makes, by name."""
    found: dict[str, Proxy] = {}
    for step in steps:
        call = step.provider
        if isinstance(call, Function) and (call.module, call.name) == (_PROXY, "create_proxy"):
            given = call.arguments
            port = int(number(given.get("listen_port")))
            upstream = f"{given.get('upstream_host')}:{int(number(given.get('upstream_port')))}"
            if port:
                found[str(given.get("proxy_name"))] = Proxy(port, upstream, str(given.get("listen_host", "")))
    return found


def meaning_of_function(call: Function, proxies: Mapping[str, Proxy]) -> Meaning:
    """What a function of an extension comes to here."""
    module = call.module.replace("toxiproxy.", "chaostoxi.", 1)  # its first name
    given = call.arguments
    if (call.module, call.name) == ("time", "sleep"):
        return Pause(max(0.0, number(next(iter(given.values()), 0))))
    if module == _PROXY:
        return _of_proxy(call.name, given, proxies)
    if module == _TOXIC:
        return _of_toxic(call.name, given, proxies)
    why = _WHY.get(call.module.partition(".")[0], "there is no equal of that function")
    return Unmapped(f"{call.module}.{call.name}: {why}")


def _of_proxy(name: str, given: Arguments, proxies: Mapping[str, Proxy]) -> Meaning:
    proxy = str(given.get("proxy_name"))
    if name == "create_proxy" and proxy in proxies:
        return Prepares()
    if name == "disable_proxy":
        return _proxied(proxy, {"refuse": True}, proxies, undo=f"disabled:{proxy}")
    if name in ("enable_proxy", "delete_proxy"):
        return Undo(f"disabled:{proxy}")
    if name == "reset":
        return Undo("toxic:")
    return Unmapped(
        f"toxiproxy's {name} has no equal: say the proxy's `listen` and `upstream` in a tcp-proxy"
    )


def _of_toxic(name: str, given: Arguments, proxies: Mapping[str, Proxy]) -> Meaning:
    proxy, toxic = str(given.get("for_proxy")), str(given.get("toxic_name"))
    if name == "delete_toxic":
        return Undo(f"toxic:{proxy}/{toxic}")
    attributes, kind = given, _KIND_OF.get(name, "")
    if name == "create_toxic":
        inner = given.get("attributes")
        attributes, kind = inner if isinstance(inner, dict) else {}, str(given.get("toxic_type"))
    read = _ATTRIBUTES.get(kind)
    if read is None:
        return Unmapped(f"toxiproxy's {kind or name} has no equal")
    options = read(attributes)
    stream = given.get("stream", "downstream") if name == "create_toxic" else "downstream"
    if "blackhole" not in options:
        options["direction"] = "up" if stream == "upstream" else "down"
    if (toxicity := number(given.get("toxicity"), 1.0)) < 1:
        options["share"] = percentage(toxicity)
    return _proxied(proxy, options, proxies, undo=f"toxic:{proxy}/{toxic}")


def _proxied(
    proxy: str, options: Mapping[str, object], proxies: Mapping[str, Proxy], *, undo: str
) -> Wanted | Unmapped:
    where = proxies.get(proxy)
    if where is None:
        return Unmapped(
            f"where proxy {proxy!r} listens and leads to is not said, as it is not made here: say a tcp-proxy"
        )
    given = {"listen": where.listen, "upstream": where.upstream}
    if where.bind:
        given["bind"] = where.bind
    to_do = f"have clients reach {where.upstream} by port {where.listen} of the worker's host"
    return Wanted(fault="tcp-proxy", options={**given, **options}, undo=undo, to_do=(to_do,))


def _latency(given: Arguments) -> dict[str, object]:
    options: dict[str, object] = {"latency": ms(given.get("latency"))}
    if number(given.get("jitter")):
        options["jitter"] = ms(given.get("jitter"))
    return options


def _slicer(given: Arguments) -> dict[str, object]:
    options: dict[str, object] = {"slice": f"{int(number(given.get('average_size'), 64))}B"}
    if delay := number(given.get("delay")):
        options["slice_gap"] = f"{delay:g}us"
    return options


_KIND_OF: Final[Mapping[str, str]] = {
    "create_latency_toxic": "latency",
    "create_dowsntream_latency_toxic": "latency",
    "create_bandwith_degradation_toxic": "bandwidth",
    "create_limiter_toxic": "limit_data",
    "create_timeout_toxic": "timeout",
    "create_slicer_toxic": "slicer",
    "create_reset_peer_toxic": "reset_peer",
}
_ATTRIBUTES: Final[Mapping[str, Callable[[Arguments], dict[str, object]]]] = {
    "latency": _latency,
    "bandwidth": lambda given: {"rate": f"{int(number(given.get('rate')))}kB/s"},
    "limit_data": lambda given: {
        "truncate_after": f"{int(number(given.get('bytes', given.get('bytes_limit'))))}B"
    },
    "timeout": lambda given: {"blackhole": True},  # noqa: ARG005  # closed at the end, as with timeout 0
    "slicer": _slicer,
    "reset_peer": lambda given: {"reset_after": ms(given.get("timeout", 0))},
}
