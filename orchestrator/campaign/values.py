"""The types of the models' fields: each takes a value as the file writes it and holds it in base units."""

from datetime import date, time
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from orchestrator.campaign import units
from orchestrator.errors import ExpressionError
from orchestrator.slo.expressions import Expression, Place
from orchestrator.slo.parse import parse


class Strict(BaseModel):
    """A part of the campaign file: frozen, no unknown keys, no silent conversion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


T = TypeVar("T")
# CAMPAIGN.md section 5: `shards` and `batches`.
MAX_SHARDS: Final = 10_000

# A list in the file, a tuple in the model. Strict mode alone would refuse the list.
Many = Annotated[tuple[T, ...], Field(strict=False)]


def _text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


Duration = Annotated[float, BeforeValidator(units.duration_s), _text(units.DURATION_PATTERN)]
DurationOrZero = Annotated[float, BeforeValidator(units.duration_or_zero_s), _text(units.DURATION_PATTERN)]
Rate = Annotated[float, BeforeValidator(units.rate_per_s), _text(units.RATE_PATTERN)]
Percent = Annotated[float, BeforeValidator(units.percent), _text(units.PERCENT_PATTERN)]
Name = Annotated[str, BeforeValidator(units.name), _text(units.NAME_PATTERN)]
Label = Annotated[str, BeforeValidator(units.label), _text(units.LABEL_PATTERN)]
Samples = Annotated[
    float,
    BeforeValidator(units.samples),
    WithJsonSchema(
        {"anyOf": [{"enum": ["none", "all"]}, {"type": "string", "pattern": units.PERCENT_PATTERN}]}
    ),
]
# A file beside the campaign, or an fsspec URL; whether it is there is checked where the folder is known.
FilePath = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]
Currency = Annotated[str, BeforeValidator(units.currency), _text(units.CURRENCY_PATTERN)]
Port = Annotated[int, Field(ge=1, le=65535)]
AboveZero = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ZeroOrMore = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _labels(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(units.label(item) for item in items)


def _hosts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, str) and item for item in items):
        raise units.UnitError("must be a host's name, or a list of them")
    return tuple(str(item) for item in items)


def _at_least(value: object) -> int:
    text = str(value).removeprefix(">=").strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 4:
        raise units.UnitError("must be a number, at least so many", 'say 1 or ">=1"')
    return int(text)


def _hosts_or_share(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int):
        return units.percent(value)
    if value < 1:
        raise units.UnitError("must be at least 1")
    return value


def _level(value: object) -> float:
    """A search's level: a rate in per second, or a number of users."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return float(value)
    if isinstance(value, str):
        return units.rate_per_s(value)
    raise units.UnitError("must be a rate or a whole number", "say 500/s, or 16 for max concurrency")


def levels_of(value: object, *, find: object) -> object:
    """The value of `between` itself. Raises UnitError where its levels are not what the search finds."""
    levels = value if isinstance(value, list) else []
    if find == "max rate" and any(isinstance(one, int | float) for one in levels):
        raise units.UnitError("the levels of max rate are rates", "say [500/s, 20000/s]")
    if find == "max concurrency" and any(isinstance(one, str) for one in levels):
        raise units.UnitError("the levels of max concurrency are numbers of users", "say [4, 64]")
    return value


def _shards(value: object) -> Literal["auto"] | int:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SHARDS:
        raise units.UnitError(f"must be auto or a whole number, 1 to {MAX_SHARDS}")
    return value


def _processes(value: object) -> Literal["all"] | int:
    if value == "all":
        return "all"
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise units.UnitError("must be all or a whole number from 1")
    return value


def _clock_time(value: object) -> time:
    try:
        return (
            time.fromisoformat(value) if isinstance(value, str) and len(value) == len("HH:MM") else _no_time()
        )
    except ValueError:
        return _no_time()


def _no_time() -> time:
    raise units.UnitError("must be a time of day", 'say "09:30"')


def _days(value: object) -> tuple[date, date]:
    text = value if isinstance(value, str) else ""
    first, dots, last = text.partition("..")
    try:
        span = date.fromisoformat(first.strip()), date.fromisoformat((last if dots else first).strip())
    except ValueError:
        raise units.UnitError("must be a day or FIRST..LAST", "say 2026-12-20..2027-01-04") from None
    if span[1] < span[0]:
        raise units.UnitError("the last day stands before the first")
    return span


Labels = Annotated[
    tuple[str, ...],
    PlainValidator(_labels),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Hosts = Annotated[
    tuple[str, ...],
    PlainValidator(_hosts),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Shards = Annotated[
    Literal["auto"] | int,
    PlainValidator(_shards),
    WithJsonSchema(
        {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": MAX_SHARDS}]},
    ),
]
Processes = Annotated[
    Literal["all"] | int,
    PlainValidator(_processes),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "integer", "minimum": 1}]}),
]
AtLeast = Annotated[
    int,
    PlainValidator(_at_least),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^>= *[0-9]+$"}]}
    ),
]
HostsOrShare = Annotated[
    int | float,
    PlainValidator(_hosts_or_share),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "%$"}]}),
]
Level = Annotated[
    float,
    PlainValidator(_level),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "/"}]}),
]
ClockTime = Annotated[
    time,
    PlainValidator(_clock_time),
    WithJsonSchema({"type": "string", "pattern": units.TIME_PATTERN}),
]
Days = Annotated[
    tuple[date, date],
    PlainValidator(_days),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?$"},
    ),
]


class ExpressionValueError(ValueError):
    """An ExpressionError on its way through pydantic, which lets only ValueErrors pass; `cause` is it."""

    def __init__(self, cause: ExpressionError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _expression(place: Place) -> Any:
    def read(value: object) -> Expression:
        if not isinstance(value, str):
            raise units.UnitError("must be an expression", "say for example p99(latency) < 250ms")
        try:
            return parse(value, place=place)
        except ExpressionError as error:
            raise ExpressionValueError(error) from None

    return PlainValidator(read)


_AS_TEXT = (PlainSerializer(str, return_type=str), WithJsonSchema({"type": "string", "minLength": 1}))
Slo = Annotated[Expression, _expression("slos"), *_AS_TEXT]
Expectation = Annotated[Expression, _expression("expect"), *_AS_TEXT]
WhileTrue = Annotated[Expression, _expression("while"), *_AS_TEXT]
AbortIf = Annotated[Expression, _expression("abort_if"), *_AS_TEXT]
