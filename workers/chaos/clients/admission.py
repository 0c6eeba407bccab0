"""Whether clients of ours may be sent to a target, and whether this host can send them."""

from collections.abc import Sequence
from typing import Any, Final

from workers.chaos.aim import Aim
from workers.contract.errors import FaultError, TargetRefusedError

MOST_PER_S: Final = 2000.0
"""One process of asyncio makes some 2,000 requests a second; a load is the means for more."""
MOST_AT_ONCE: Final = 2000
"""Connections of one fault: each is a descriptor here and there, and one of 28,000 local ports."""
PROMPTED: Final = frozenset({"openai-chat", "openai-completions", "openai-embeddings", "triton-generate"})
"""Protocols whose requests are texts."""

_SPARE_DESCRIPTORS = 64
_UNSPOKEN: Final = frozenset({"kserve-v2-grpc"})  # clients of ours speak HTTP/1.1
_BURST_S: Final = 10.0  # so much of a ceiling may be sent at once, as by engines


def check_spoken(fault: str, aim: Aim) -> None:
    """Raise FaultError where the target speaks what clients of ours do not."""
    if aim.protocol in _UNSPOKEN:
        raise FaultError(f"{fault} speaks HTTP/1.1; target {aim.name} is {aim.protocol}")


def check_prompts(fault: str, aim: Aim) -> None:
    """Raise FaultError where the target takes no prompts."""
    if aim.protocol not in PROMPTED:
        raise FaultError(f"{fault} needs a target that takes prompts; {aim.name} is {aim.protocol}")


def check_streams(fault: str, aim: Aim) -> None:
    """Raise FaultError where the target does not stream its answers, or is asked not to."""
    from workers import protocols  # noqa: PLC0415  # the guardian needs none of these
    from workers.contract.kinds import resolve  # noqa: PLC0415

    kind: Any = resolve("workers.protocols", protocols.TABLE, aim.protocol)
    if not kind.streams or aim.options.get("stream", True) is False:
        raise FaultError(
            f"{fault} needs an answer that comes token by token; target {aim.name} "
            f"({aim.protocol}) sends its answers whole: use cancel-storm"
        )


def check_ceiling(fault: str, aim: Aim, *, per_s: float, at_once: int) -> None:
    """Raise FaultError where the ceiling on the target leaves less than so many requests."""
    if aim.per_s is None:
        return
    if per_s > aim.per_s:
        raise FaultError(
            f"{fault} would send target {aim.name} {per_s:g}/s; {aim.whose} leaves it "
            f"{aim.per_s:g}/s: ask for less, or raise the ceiling"
        )
    if at_once > max(1.0, aim.per_s * _BURST_S):
        raise FaultError(
            f"{fault} would open {at_once} at once on target {aim.name}; {aim.whose} leaves "
            f"it {aim.per_s:g}/s, so {aim.per_s * _BURST_S:g} at once: ask for less, or raise the ceiling"
        )


def check_descriptors(fault: str, at_once: int) -> None:
    """Raise FaultError where no process on this host may have so many connections."""
    import resource  # noqa: PLC0415  # the guardian needs none of it

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < at_once + _SPARE_DESCRIPTORS:
        raise FaultError(
            f"{fault} needs {at_once} connections; this host allows a process {hard} descriptors: "
            "ask for fewer, or raise the limit (ulimit -Hn) of the worker"
        )


def check_address(aim: Aim, *, allow_targets: Sequence[str]) -> None:
    """Raise FaultError where the URL's address is not on the list; names are judged where they lead to."""
    from urllib.parse import urlsplit  # noqa: PLC0415  # the guardian needs none of these

    from workers.contract.addresses import is_literal  # noqa: PLC0415
    from workers.engine.allow import parse_allow_list  # noqa: PLC0415

    parts = urlsplit(aim.url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise FaultError(f"target {aim.name}: its url is not http://HOST or https://HOST")
    try:
        allowed = parse_allow_list(allow_targets)
        if is_literal(host):
            port = parts.port or (443 if parts.scheme == "https" else 80)
            allowed.permitted(host, port, addresses=[host])
    except (TargetRefusedError, ValueError) as error:
        raise FaultError(str(error)) from error
