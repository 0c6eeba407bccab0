"""The campaign as a whole: CAMPAIGN.md sections 3, 5 and 9, with the reserved keys of section 10."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from orchestrator.campaign.activities import (
    Activity,
    BatchActivity,
    ChaosActivity,
    LoadActivity,
    Match,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    TelemetryActivity,
    Where,
)
from orchestrator.campaign.arrivals import Arrivals, FileData, Stage, SyntheticData
from orchestrator.campaign.silences import Silence, SilenceOrName
from orchestrator.campaign.targets import Demo, Monitor, Target, TargetOrMonitor
from orchestrator.campaign.values import (
    AbortIf,
    ClockTime,
    Count,
    Currency,
    Days,
    Duration,
    Label,
    Many,
    Name,
    Percent,
    Samples,
    Seed,
    Slo,
    Strict,
    ZeroOrMore,
)

__all__ = [
    "Activity",
    "Approval",
    "Arrivals",
    "BatchActivity",
    "Campaign",
    "ChaosActivity",
    "Demo",
    "FileData",
    "GameDay",
    "LoadActivity",
    "Match",
    "Monitor",
    "Phase",
    "Prices",
    "RegressionActivity",
    "RunbookStep",
    "SearchActivity",
    "Silence",
    "SoakActivity",
    "Stage",
    "SyntheticData",
    "Target",
    "TelemetryActivity",
    "Validity",
    "Where",
    "Window",
]


class Phase(Strict):
    """Activities that run together, on one clock."""

    name: Name
    activities: Annotated[Many[Activity], Field(min_length=1)]
    requires: Many[str] = ()


class Validity(Strict):
    """Limits beyond which the test, not the target, is to blame: METRICS.md section 3."""

    achieved: Percent = 0.99
    coverage: Percent = 0.99
    lag_p99: Duration = 0.01
    start_skew: Duration = 1.0


class Prices(Strict):
    """What the target costs, in `currency`: one machine for an hour, one kWh."""

    machine_hour: ZeroOrMore
    machines: Count = 1
    kwh: ZeroOrMore = 0.0
    currency: Currency = "USD"


class Window(Strict):
    """When phases with chaos may run: local time of `timezone`."""

    days: Annotated[Many[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)] = (
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
    )
    from_: Annotated[ClockTime, Field(alias="from")]
    to: ClockTime
    timezone: str


class Approval(Strict):
    """Who must approve a phase, and how many seconds it waits for that."""

    by: str
    within: Duration = 900.0


class RunbookStep(Strict):
    """Something that a person does; `command` is theirs to run, `phase`: in or before which."""

    name: Name | None = None
    text: str = ""
    command: str = ""
    by: str | None = None
    phase: str | None = None


def _as_step(value: object) -> object:
    """A step that is only a text."""
    return {"text": value} if isinstance(value, str) else value


Step = Annotated[RunbookStep, BeforeValidator(_as_step, json_schema_input_type=str | RunbookStep)]


class GameDay(Strict):
    """Windows, blackouts, roles and approvals."""

    window: Window | None = None
    blackout: Many[Days] = ()
    roles: dict[str, str] = Field(default_factory=dict)
    approvals: dict[str, Approval] = Field(default_factory=dict)
    runbook: Many[Step] = ()
    announce: str | None = None
    tabletop: bool = False
    silence: Many[SilenceOrName] = ()


class Campaign(Strict):
    """A whole campaign file; times in seconds, rates per second, percentages as fractions."""

    campaign: Name
    description: str = ""
    seed: Seed | None = None
    targets: Annotated[dict[Name, TargetOrMonitor], Field(min_length=1)]
    phases: Annotated[Many[Phase], Field(min_length=1)]
    slos: Many[Slo] = ()
    abort_if: Many[AbortIf] = ()
    on_lost_coordinator: Duration = 10.0
    place_within: Duration = 60.0
    validity: Validity = Validity()
    samples: Samples = 0.0
    prices: Prices | None = None
    gameday: GameDay | None = None
    priority: Annotated[int, Field(ge=-10, le=10)] = 0
    share_target: bool = False
    protect: Many[Label] = ()
    comparison: dict[str, Percent] | None = None
