"""What was seen of alerts and gauges beside the traffic, as the judge reads it; on the phase's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.slo.expressions import Gauge


@dataclass(frozen=True, slots=True)
class Firing:
    """One time that an alert fired; None where something is not known, or has not happened.

    `active_s`: since when its condition held; `received_s`: when Alertmanager had it, `routed_s` when its
    webhook reached us. `for_s`, `every_s`: of its rule. `uncertainty_s`: of all these times. `silenced`: some
    silence kept it quiet.
    """

    fired_s: float
    ended_s: float | None = None
    active_s: float | None = None
    received_s: float | None = None
    routed_s: float | None = None
    for_s: float = 0.0
    every_s: float = 0.0
    uncertainty_s: float = 0.0
    silenced: bool = False

    def is_on(self, at_s: float) -> bool:
        """Whether it fired at that moment."""
        return self.fired_s <= at_s and (self.ended_s is None or self.ended_s > at_s)


@dataclass(frozen=True, slots=True)
class AlertLog:
    """One alert over a phase. `seconds`: in which its monitor answered. `absent`: it has no such rule.

    `pending_s`: since when it has been pending, where that is how it stood last.
    """

    firings: tuple[Firing, ...] = ()
    seconds: frozenset[int] = frozenset()
    absent: bool = False
    pending_s: float | None = None
    for_s: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class GaugeLog:
    """One gauge over a phase: its value by second, and why some are missing."""

    values: Mapping[int, float] = field(default_factory=dict)
    why: str = ""
    uncertainty_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Watched:
    """All of a phase. `gauges`: by `gauge_name`. `why`: what kept it from being watched, or ""."""

    alerts: Mapping[str, AlertLog] = field(default_factory=dict)
    gauges: Mapping[str, GaugeLog] = field(default_factory=dict)
    why: str = ""


UNWATCHED: Final = Watched()


def gauge_name(target: str, gauge: Gauge) -> str:
    """By which a gauge of a target is known in facts: `chat vllm:num_requests_running{pod="a"}`."""
    labels = ",".join(f'{name}="{value}"' for name, value in gauge.labels)
    return f"{target} {gauge.metric}" + (f"{{{labels}}}" if labels else "")
