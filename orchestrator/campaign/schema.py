"""JSON Schema of the campaign file, for editors and for whoever writes campaigns by program."""

from typing import Any, Final

from orchestrator.campaign.meanings import MEANINGS
from orchestrator.campaign.models import Campaign
from orchestrator.campaign.units import DURATION_PATTERN, PERCENT_PATTERN, duration_text, percent_text
from workers.chaos import TABLE as FAULTS
from workers.protocols import TABLE as PROTOCOLS

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def campaign_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a campaign file as read by YAML 1.2's core schema.

    It says types, keys, units and names, and what each key is for; what must hold across values only
    `shakeout validate` knows.
    """
    schema = Campaign.model_json_schema(by_alias=True, mode="validation")
    schema["$schema"] = _DIALECT
    schema["title"] = "Shakeout campaign"
    schema["patternProperties"] = {"^x-": {}}
    definitions = schema["$defs"]
    definitions["Target"]["properties"]["protocol"]["enum"] = sorted(PROTOCOLS)
    _describe("Campaign", schema)
    for name, part in definitions.items():
        _describe(name, part)
    definitions["ChaosActivity"]["properties"]["fault"]["enum"] = sorted(FAULTS)
    return schema


def _describe(name: str, part: dict[str, Any]) -> None:
    """Give each key of a part its meaning, and take away what is no use in an editor: null and titles."""
    part["description"] = MEANINGS.get(name, part.get("description", ""))
    owner = "Activity" if name.endswith("Activity") else name
    for key, schema in part.get("properties", {}).items():
        choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
        if len(choices) < len(schema.get("anyOf", ())):
            del schema["anyOf"], schema["default"]
            schema.update(choices[0] if len(choices) == 1 else {"anyOf": choices})
        schema.pop("title", None)
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        if "default" in schema:
            schema["default"] = _as_written(key, schema)
        if meaning := MEANINGS.get(f"{owner}.{key}"):
            schema["description"] = meaning


def _as_written(key: str, schema: dict[str, Any]) -> object:
    """The default as a file would say it: the models hold seconds and fractions, and whole parts."""
    value, pattern = schema["default"], schema.get("pattern")
    if pattern == DURATION_PATTERN:
        return duration_text(value)
    if pattern == PERCENT_PATTERN:
        return percent_text(value)
    if key == "samples":
        return "none"
    return {} if isinstance(value, dict) else value
