"""What one SLO expression says, as data: the grammar of METRICS.md section 5.

Bounds are in base units: seconds, fraction (for %), per second, bytes, joules, watts, plain number, money.
Two expressions are equal where they say the same thing, however they are spaced.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from orchestrator.slo.names import REQUEST_SERIES, SCALARS

Place = Literal["slos", "expect", "while", "abort_if"]
Operator = Literal["<", "<=", ">", ">="]
Method = Literal["psi", "js", "wasserstein", "ks"]

DEFAULT_WINDOW_S: Final = 60.0
"""The trailing window of an `abort_if` without `over`."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """`p99.9(latency)`: `q` is the fraction 0.999, 0 < q < 1; `series` is of requests or telemetry."""

    q: float
    series: str


@dataclass(frozen=True, slots=True)
class Stat:
    """`mean(latency)`, `max(...)`, `min(...)` of a series."""

    which: Literal["mean", "max", "min"]
    series: str


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit inside `goodput(...)`, in seconds; judged on one request."""

    series: str
    op: Literal["<", "<="]
    bound: float


@dataclass(frozen=True, slots=True)
class Goodput:
    """`goodput(ttft < 500ms, tpot < 50ms)`: the share of requests that meet every limit."""

    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """`drift(psi, scores)`: the distance between two sets of the output `field`."""

    method: Method
    field: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A name that stands without brackets and has one value: `success_rate`, `burn_rate`, `recovery` ..."""

    name: str


Value = Quantile | Stat | Goodput | Drift | Scalar


@dataclass(frozen=True, slots=True)
class Comparison:
    """`value op bound`.

    `bound` is in the base unit `unit`: `s`, `fraction` (99% is 0.99), `/s`, `B`, `J`, `W`, empty (a plain
    number) or a currency code as `USD`. `<` counts a value equal to the bound as over, `<=` does not.
    """

    value: Value
    op: Operator
    bound: float
    unit: str


@dataclass(frozen=True, slots=True)
class Outcomes:
    """`never(http_5xx, timeout)` or `always(ok)`: looks at every answered or failed request.

    `names` are outcomes as written: `ok`, `timeout`, ..., `http_5xx` (a class) or `http_401` (one status).
    """

    always: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """`alert(NAME) fires within 120s`, `... resolves within 10m`, `... never fires` (no `within_s`)."""

    name: str
    event: Literal["fires", "resolves", "never_fires"]
    within_s: float | None


@dataclass(frozen=True, slots=True)
class Gauge:
    """`metric(NAME{label="value"}) returns within 10s`: back in its band, counted from the revert."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    within_s: float


Body = Comparison | Outcomes | Alert | Gauge


@dataclass(frozen=True, slots=True)
class Suffixes:
    """What narrows the time or the rows that are judged.

    `over_s` is empty, (window,) or, for burn_rate, (longer, shorter); `during` names a chaos activity or a
    stage of the same phase; `tag` is (name, value) of `for NAME=VALUE`.
    """

    over_s: tuple[float, ...] = ()
    during: str | None = None
    outside_faults: bool = False
    tag: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """One line of `slos`, `expect`, `while` or `abort_if`; `text` is as the person wrote it."""

    text: str = field(compare=False)
    body: Body
    suffixes: Suffixes = Suffixes()

    def __str__(self) -> str:
        return self.text


def is_sampled(expression: Expression) -> bool:
    """Whether METRICS.md section 4 judges it (S of its table), so that n may be too small for a claim.

    Extremes (`max`, `min`) and everything of telemetry are measured whole, hence counted.
    """
    if not isinstance(expression.body, Comparison):
        return False
    match expression.body.value:
        case Quantile(series=series) | Stat(which="mean", series=series):
            return series in REQUEST_SERIES
        case Goodput() | Drift():
            return True
        case Scalar(name=name):
            return SCALARS[name].sampled
        case _:
            return False


def success_objectives(expressions: Iterable[Expression]) -> tuple[float, ...]:
    """Each s of a `success_rate >= s` (or `>`) that stands for the whole of its activity, in order.

    One judged only during a stage, outside faults or for a tag sets no objective.
    `burn_rate` takes the one there is.
    """
    found: list[float] = []
    for expression in expressions:
        body, suffixes = expression.body, expression.suffixes
        narrowed = suffixes.during or suffixes.outside_faults or suffixes.tag
        if isinstance(body, Comparison) and body.value == Scalar("success_rate") and not narrowed:
            found.extend([body.bound] if body.op in (">=", ">") else [])
    return tuple(found)
