"""Faults that campaigns may name and plan but that this version does not run: their options only."""

from typing import Annotated, ClassVar, Literal

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Index = Annotated[int, msgspec.Meta(ge=0)]
HostPort = Annotated[str, msgspec.Meta(pattern=r"^[^\s:]+:\d{1,5}$|^\[[0-9A-Fa-f:.]+\]:\d{1,5}$")]


class TcpProxy:
    """A proxy that listens from the first phase on and, while held, delays, slows or cuts what passes."""

    held: ClassVar[bool] = True
    client: ClassVar[bool] = False
    works: ClassVar[bool] = False
    needs_match: ClassVar[bool] = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """latency, jitter: durations. rate: size per second. reset_after: a duration or a size."""

        listen: Port
        upstream: HostPort
        latency: str | None = None
        jitter: str | None = None
        rate: str | None = None
        reset_after: str | None = None


class GpuMemory:
    """Take memory on the GPUs of the host while held."""

    held: ClassVar[bool] = True
    client: ClassVar[bool] = False
    works: ClassVar[bool] = False
    needs_match: ClassVar[bool] = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Exactly one of share_of_free (a percentage) and size. device: an index, or all."""

        share_of_free: str | None = None
        size: str | None = None
        device: Index | Literal["all"] = "all"

        def __post_init__(self) -> None:
            """Refuse none or both."""
            if (self.share_of_free is None) == (self.size is None):
                raise ValueError("say exactly one of share_of_free, size")


class DisconnectMidStream:
    """Clients that open a stream and leave after some tokens."""

    held: ClassVar[bool] = True
    client: ClassVar[bool] = True
    works: ClassVar[bool] = False
    needs_match: ClassVar[bool] = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """rate: how many clients (a rate). after_tokens: output tokens that each reads before it leaves."""

        rate: str
        after_tokens: Annotated[int, msgspec.Meta(ge=0)] = 1
