"""Types and defaults of the campaign reference, as a person writes them in the file."""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.campaign import units

_BY_PATTERN: Final[Mapping[str, str]] = {
    units.DURATION_PATTERN: "duration",
    units.RATE_PATTERN: "rate",
    units.PERCENT_PATTERN: "percent",
    units.NAME_PATTERN: "name",
    units.LABEL_PATTERN: "label",
    r"^\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?$": "day or FIRST..LAST",
    units.TIME_PATTERN: "HH:MM",
    units.CURRENCY_PATTERN: "currency",
    units.FAILURE_PATTERN: "outcome",
    "/": "rate",
    "%$": "percent",
    "^>= *[0-9]+$": 'text like ">=1"',
}
_SIMPLE: Final[Mapping[str, str]] = {"string": "text", "boolean": "true or false", "object": "mapping"}


def type_words(schema: Mapping[str, Any]) -> str:
    """What may stand at a key, from its JSON Schema; parts of the file are links within the page.

    Raises KeyError for a schema that the models do not make today, so that the page is never vague about it.
    """
    if "$ref" in schema:
        return _link(schema["$ref"])
    choices = [one for one in schema.get("anyOf", schema.get("oneOf", ())) if one.get("type") != "null"]
    if choices:
        return "an activity" if "discriminator" in schema else " or ".join(type_words(one) for one in choices)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " ".join(f"`{one}`" for one in schema["enum"])
    if "pattern" in schema:
        return _BY_PATTERN[schema["pattern"]]
    match schema.get("type"):
        case "array":
            return f"list of {type_words(schema['items'])}"
        case "integer" | "number" as kind:
            return _number("whole number" if kind == "integer" else "number", schema)
        case "object":
            return _mapping(schema)
        case None:
            return "anything"
        case kind:
            return _SIMPLE[kind]


def default_words(schema: Mapping[str, Any]) -> str:
    """The default in the file's own notation; empty where there is none, or where another part has it."""
    value = schema.get("default")
    if value == {} and "$ref" in schema:
        return "see there"
    if value is None or value in ([], {}, ""):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(str(one) for one in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(noun: str, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMaximum" in schema:
        return f"{noun} below 2^63"
    if low is not None and high is not None:
        return f"{noun} {low} to {high}"
    if low is not None:
        return f"{noun} from {low}"
    return f"{noun} above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else noun


def _mapping(schema: Mapping[str, Any]) -> str:
    values = schema.get("additionalProperties")
    for pattern, inner in schema.get("patternProperties", {}).items():
        return f"mapping of {_BY_PATTERN[pattern]} to {type_words(inner)}"
    if isinstance(values, dict):
        return f"mapping of text to {type_words(values)}"
    return "mapping"


def _link(reference: str) -> str:
    part = reference.rsplit("/", 1)[1]
    return f"[{part}](#{part.lower()})"
