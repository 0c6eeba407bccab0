"""`gameday.silence`: what Alertmanager is to keep quiet while faults act."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from orchestrator.campaign.values import Many, Strict, Text

_MATCHER: Final = re.compile(
    r"\s*(?P<label>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<op>=~|!~|!=|=)\s*(?P<quote>\"?)(?P<value>.*?)(?P=quote)\s*\Z"
)


def _matcher(value: object) -> object:
    """`severity="page"` -> (label, operator, value)."""
    if not isinstance(value, str):
        return value
    found = _MATCHER.match(value)
    if found is None or not found["value"]:
        raise ValueError(f'{value!r} is no matcher: say label="value", with = or != or =~ or !~')
    if found["op"].endswith("~"):
        try:
            re.compile(found["value"])
        except re.error as error:
            raise ValueError(f"{found['value']!r} is no regular expression: {error}") from error
    return found["label"], found["op"], found["value"]


Matcher = Annotated[
    tuple[str, str, str], BeforeValidator(_matcher, json_schema_input_type=str), Field(strict=False)
]


class Silence(Strict):
    """Alerts that are kept quiet: all of one name, those with certain labels, or both at once."""

    alert: Text | None = None
    matchers: Many[Matcher] = ()


def _as_silence(value: object) -> object:
    """A name alone is that alert."""
    return {"alert": value} if isinstance(value, str) else value


SilenceOrName = Annotated[Silence, BeforeValidator(_as_silence, json_schema_input_type=str | Silence)]
