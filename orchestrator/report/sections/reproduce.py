"""How to run the same again."""

from typing import Any

from orchestrator.results.outcome import Outcome


def reproduce(report: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """The command, the seed, the version, the files by content, and the campaign file as it was read."""
    del outcome
    again: dict[str, Any] = report["reproduce"]
    return {"again": again}
