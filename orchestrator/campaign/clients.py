"""How the clients of a load behave: tries after a failure, conversations of several turns."""

import re
from typing import Annotated, Final, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from orchestrator.campaign import units
from orchestrator.campaign.findings import nearest
from orchestrator.campaign.values import Count, Duration, DurationOrZero, Many, Percent, Strict

MOST_TRIES: Final = 100
MOST_TURNS: Final = 1000
RETRIED: Final = ("connect", "reset", "http_429", "http_502", "http_503", "http_504")
"""What is tried again where `on` is not given: what may pass by itself, and was not answered."""
_FAILURES: Final = ("connect", "reset", "timeout", "incomplete", "invalid")


def _failure(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(units.FAILURE_PATTERN, value):
        return value
    known = [*_FAILURES, "http_429", "http_5xx"]
    hint = nearest(str(value), known) or f"one of {', '.join(known)}"
    raise units.UnitError(f"{value!r} is no outcome that can be tried again", hint)


Failure = Annotated[
    str, PlainValidator(_failure), WithJsonSchema({"type": "string", "pattern": units.FAILURE_PATTERN})
]


class Breaker(Strict):
    """A client that gives the target up for a while; each engine has its own."""

    failures: Percent
    window: Duration = 10.0
    open_for: Duration = 5.0


class Retries(Strict):
    """Which failed tries are followed by another; times in seconds, `within` None is the target's timeout."""

    on: Annotated[Many[Failure], Field(min_length=1)] = RETRIED
    attempts: Annotated[int, Field(ge=1, le=MOST_TRIES)] = 3
    backoff: DurationOrZero = 0.1
    max_backoff: DurationOrZero = 5.0
    jitter: Literal["full", "equal", "none"] = "full"
    within: Duration | None = None
    budget: Percent | None = None
    breaker: Breaker | None = None
    retry_after: bool = True


class Sessions(Strict):
    """Conversations of several turns."""

    turns: Annotated[Count, Field(le=MOST_TURNS)]
    think: DurationOrZero = 0.0
