"""Arrivals and the data that they carry: CAMPAIGN.md section 6."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.campaign.values import (
    AboveZero,
    Count,
    Duration,
    DurationOrZero,
    FilePath,
    Many,
    Name,
    Rate,
    Strict,
    ZeroOrMore,
)


class Stage(Strict):
    """A stretch of the schedule: `for_` seconds at `rate` per second, the first `ramp` on the way to it."""

    rate: Rate
    for_: Annotated[Duration, Field(alias="for")]
    ramp: DurationOrZero = 0.0
    name: Name | None = None


class Arrivals(Strict):
    """When requests are due. Which keys go together depends on `process`; `load_campaign` checks it."""

    process: Literal["constant", "poisson", "gamma", "trace", "closed"]
    rate: Rate | None = None
    stages: Annotated[Many[Stage], Field(min_length=1)] | None = None
    ramp: DurationOrZero = 0.0
    burstiness: AboveZero | None = None
    trace: FilePath | None = None
    speed: AboveZero = 1.0
    users: Count | None = None
    think: DurationOrZero = 0.0


class FileData(Strict):
    """Rows from a file: arrival k takes row k modulo their number."""

    file: FilePath
    order: Literal["file", "shuffle"] = "file"
    at_end: Literal["repeat", "stop"] = "repeat"
    tags: Many[str] = ()


class Normal(Strict):
    """A normal distribution of lengths, in tokens."""

    mean: AboveZero
    sd: ZeroOrMore


class LogNormal(Strict):
    """A log-normal distribution of lengths: median in tokens, sigma of the logarithm."""

    median: AboveZero
    sigma: ZeroOrMore


class Lengths(Strict):
    """One distribution of lengths in tokens, by its name."""

    uniform: Annotated[Many[Count], Field(min_length=2, max_length=2)] | None = None
    normal: Normal | None = None
    lognormal: LogNormal | None = None
    histogram: FilePath | None = None


def _number_or_lengths(value: object) -> str:
    return ":lengths" if isinstance(value, dict | Lengths) else ":number"


Length = Annotated[
    Annotated[Count, Tag(":number")] | Annotated[Lengths, Tag(":lengths")], Discriminator(_number_or_lengths)
]


PrefixLength = Annotated[
    Annotated[int, Field(ge=0), Tag(":number")] | Annotated[Lengths, Tag(":lengths")],
    Discriminator(_number_or_lengths),
]


class Synthetic(Strict):
    """Made-up prompts, in tokens; the first `shared_prefix` of each are the same."""

    input_tokens: Length
    output_tokens: Length
    shared_prefix: PrefixLength = 0


class SyntheticData(Strict):
    """`data: {synthetic: ...}`; openai targets only."""

    synthetic: Synthetic


def as_data(value: object) -> object:
    """`data: traffic.jsonl` is short for `{file: traffic.jsonl}`."""
    return {"file": value} if isinstance(value, str) else value


def which_data(value: object) -> str:
    """The branch that the value is meant for."""
    keys = value.keys() if isinstance(value, dict) else ()
    return ":synthetic" if "synthetic" in keys or isinstance(value, SyntheticData) else ":file"
