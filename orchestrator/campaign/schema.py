"""JSON Schema of the campaign file, for editors and for whoever writes campaigns by program."""

from typing import Any, Final

from orchestrator.campaign.models import Campaign
from workers.chaos import TABLE as FAULTS
from workers.protocols import TABLE as PROTOCOLS

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def campaign_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a campaign file as read by YAML 1.2's core schema.

    It says types, keys, units and names; what must hold across values only `shakeout validate` knows.
    """
    schema = Campaign.model_json_schema(by_alias=True, mode="validation")
    schema["$schema"] = _DIALECT
    schema["title"] = "Shakeout campaign"
    schema["patternProperties"] = {"^x-": {}}
    definitions = schema["$defs"]
    definitions["Target"]["properties"]["protocol"]["enum"] = sorted(PROTOCOLS)
    fault = definitions["ChaosActivity"]["properties"]["fault"]
    for choice in fault.get("anyOf", []):
        if choice.get("type") == "string":
            choice["enum"] = sorted(FAULTS)
    return schema
