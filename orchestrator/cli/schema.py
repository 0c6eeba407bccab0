"""`shakeout schema`: the JSON Schema of the campaign file."""

import json

from orchestrator.campaign.schema import campaign_schema


def schema() -> None:
    """Print the JSON Schema of the campaign file, for editors and programs."""
    print(json.dumps(campaign_schema(), indent=2))
