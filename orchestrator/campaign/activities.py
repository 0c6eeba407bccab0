"""The kinds of activity: CAMPAIGN.md sections 5 and 7, with the reserved keys of section 10."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from orchestrator.campaign.arrivals import Arrivals, FileData, SyntheticData, as_data, which_data
from orchestrator.campaign.clients import Retries, Sessions
from orchestrator.campaign.values import (
    AtLeast,
    Count,
    Duration,
    DurationOrZero,
    Expectation,
    FilePath,
    Hosts,
    HostsOrShare,
    Labels,
    Level,
    Many,
    Name,
    Percent,
    Port,
    Processes,
    Samples,
    Shards,
    Slo,
    Strict,
    Text,
    WhileTrue,
    levels_of,
)

Data = Annotated[
    Annotated[FileData, Tag(":file")] | Annotated[SyntheticData, Tag(":synthetic")],
    Discriminator(which_data),
    BeforeValidator(as_data, json_schema_input_type=str | FileData | SyntheticData),
]


class Where(Strict):
    """Which workers: all that is given must hold. `at_most`: hosts as an int, or a share as a float."""

    label: Labels = ()
    host: Hosts = ()
    gpus: AtLeast = 0
    at_most: HostsOrShare | None = None


class Match(Strict):
    """Which processes of a host: exactly one of `name`, `cmdline`, `port`, `pidfile`."""

    name: Text | None = None
    cmdline: Text | None = None
    port: Port | None = None
    pidfile: Text | None = None
    processes: Processes | None = None


class Trend(Strict):
    """What a soak does about a trend; limits are fractions of the start level over the whole soak."""

    gate: bool = True
    limit: Percent = 0.05
    memory_limit: Percent = 0.02


class _Activity(Strict):
    """What every kind has."""

    name: Name
    where: Where | None = None


class _Traffic(_Activity):
    """What load, soak and search have in common."""

    target: Name
    slos: Many[Slo] = ()
    shards: Shards = "auto"
    arrivals: Arrivals
    data: Data | None = None
    max_in_flight: Count | None = None
    samples: Samples | None = None
    split: dict[str, Percent] | None = None
    shadow: Name | None = None
    sessions: Sessions | None = None


class _Scheduled(_Traffic):
    """What load and soak have in common; `duration` in seconds, None where stages or a trace give it."""

    duration: Duration | None = None
    warmup: DurationOrZero = 0.0
    locustfile: FilePath | None = None
    retries: Retries | None = None
    levels: Many[Level] | None = None


class LoadActivity(_Scheduled):
    """Requests on a schedule."""

    kind: Literal["load"]


class SoakActivity(_Scheduled):
    """Requests on a schedule for long, with a trend on each of `watch`."""

    kind: Literal["soak"]
    watch: Many[str] = ("latency", "throughput")
    trend: Trend = Trend()


class SearchActivity(_Traffic):
    """The highest level of load that still keeps `while`; rates per second or users."""

    kind: Literal["search"]
    find: Literal["max rate", "max concurrency"]
    between: Annotated[Many[Level], Field(min_length=2, max_length=2)]
    step: Duration = 60.0
    settle: DurationOrZero = 10.0
    while_: Annotated[Many[WhileTrue], Field(alias="while", min_length=1)]
    tolerance: Percent = 0.05

    @field_validator("between", mode="before")
    @classmethod
    def _in_the_unit_of_find(cls, value: object, info: ValidationInfo) -> object:
        return levels_of(value, find=info.data.get("find"))


class RegressionActivity(_Activity):
    """Cases with known answers; broken ones (`mutate`) or ones without credentials (`probes`)."""

    kind: Literal["regression"]
    target: Name
    slos: Many[Slo] = ()
    golden: FilePath | None = None
    baseline: Name | None = None
    batches: Shards = "auto"
    concurrency: Count = 8
    compare: dict[str, dict[str, dict[str, Any]]] | None = None
    features: FilePath | None = None
    mutate: Annotated[Many[Name], Field(min_length=1)] | None = None
    probes: Annotated[Many[Name], Field(min_length=1)] | None = None
    repeats: Count = 1
    limit: Count | None = None


class ComposedFault(Strict):
    """One of several faults of an activity; `at`: seconds after the activity's own, of parallel ones."""

    fault: Text
    with_: dict[str, Any] = Field(alias="with", default_factory=dict)
    match: Match | None = None
    for_: Annotated[Duration | None, Field(alias="for")] = None
    at: DurationOrZero | None = None
    intensity: Annotated[Many[Percent], Field(min_length=1)] | None = None


class ChaosActivity(_Activity):
    """One fault, at `at` seconds of the phase, for `for_` seconds where it is held; or several of them."""

    kind: Literal["chaos"]
    fault: str | None = None
    at: DurationOrZero = 0.0
    for_: Annotated[Duration | None, Field(alias="for")] = None
    target: Name | None = None
    match: Match | None = None
    with_: dict[str, Any] = Field(alias="with", default_factory=dict)
    expect: Many[Expectation] = ()
    observe: Many[Name] | None = None
    faults: Annotated[Many[ComposedFault], Field(min_length=1)] | None = None
    order: Literal["sequence", "parallel", "random"] | None = None
    pause: DurationOrZero | None = None
    intensity: Annotated[Many[Percent], Field(min_length=1)] | None = None
    on_generators: bool = False
    hidden: bool = False


class PrometheusSource(Strict):
    """The `metrics` URL of a target, by the target's name."""

    prometheus: Name


class ProcessSource(Strict):
    """The processes that match, on each selected host."""

    process: Match


def _which_source(value: object) -> str:
    if isinstance(value, str):
        return ":word"
    has = "process" in value if isinstance(value, dict) else isinstance(value, ProcessSource)
    return ":process" if has else ":prometheus"


Source = Annotated[
    Annotated[Literal["nvml", "host"], Tag(":word")]
    | Annotated[PrometheusSource, Tag(":prometheus")]
    | Annotated[ProcessSource, Tag(":process")],
    Discriminator(_which_source),
]


class TelemetryActivity(_Activity):
    """Readings of hosts, GPUs, processes and targets, `every` so many seconds."""

    kind: Literal["telemetry"]
    sources: Annotated[Many[Source], Field(min_length=1)]
    every: Duration = 1.0
    duration: Duration | None = None


class BatchActivity(_Activity):
    """Reserved: a batch job that is submitted, waited for and whose output is read."""

    kind: Literal["batch"]
    target: Name | None = None
    data: Data | None = None
    submit: Any
    done: Any
    output: Any = None


Activity = Annotated[
    LoadActivity
    | SoakActivity
    | SearchActivity
    | RegressionActivity
    | ChaosActivity
    | TelemetryActivity
    | BatchActivity,
    Discriminator("kind"),
]
KINDS: tuple[type[Strict], ...] = (
    LoadActivity,
    SoakActivity,
    ChaosActivity,
    RegressionActivity,
    SearchActivity,
    TelemetryActivity,
    BatchActivity,
)
