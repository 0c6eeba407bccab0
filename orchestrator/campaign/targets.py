"""Targets and the monitor: CAMPAIGN.md section 4."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.campaign.values import Count, Duration, DurationOrZero, FilePath, Percent, Rate, Strict


class Demo(Strict):
    """The demo target that `run` starts itself, as its own process on loopback."""

    ttft: DurationOrZero = 0.05
    gap: DurationOrZero = 0.01
    tokens: Count = 32
    service_time: DurationOrZero = 0.005
    error_rate: Percent = 0.0


class Tls(Strict):
    """How a TLS target is trusted, and what is shown to it; paths are PEM files."""

    ca: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    verify: bool = True
    server_name: str | None = None


class Target(Strict):
    """A service that is loaded. Exactly one of `url` and `demo`; times in seconds, rates per second."""

    protocol: str
    url: str | None = None
    demo: Demo | None = None
    model: Annotated[str, Field(min_length=1)] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration = 60.0
    tls: Tls | None = None
    metrics: str | None = None
    rate_limit: Rate | None = None
    stream: bool = True
    extra_body: dict[str, Any] = Field(default_factory=dict)
    tokenizer: FilePath | None = None
    version: str | None = None
    path: str = "/"
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: str | None = None
    binary: bool = False


class Monitor(Strict):
    """Prometheus and Alertmanager: asked about alerts, never loaded."""

    prometheus: str | None = None
    alertmanager: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    tls: Tls | None = None


def _which(value: object) -> str:
    keys = value.keys() if isinstance(value, dict) else ()
    monitor = "protocol" not in keys and {"prometheus", "alertmanager"} & set(keys)
    return ":monitor" if monitor else ":target"


TargetOrMonitor = Annotated[
    Annotated[Target, Tag(":target")] | Annotated[Monitor, Tag(":monitor")], Discriminator(_which)
]
