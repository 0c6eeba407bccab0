"""The slowest requests of each activity and some that failed: what to look up by its trace, or to replay."""

import shlex
from typing import Any

from orchestrator.results.outcome import Outcome

MOST_FAILED = 20
"""Of an activity; report.json has more."""


def requests(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """Activities of which there is a request to be shown."""
    del outcome
    shown = [
        {
            "name": name,
            "slowest": said["slowest"],
            "failed": [one for one in said["errors"] if one["request_id"]][:MOST_FAILED],
            "samples": said.get("samples"),
            "replay": _replay(report["campaign"]["id"], said),
        }
        for name, said in report["activities"].items()
        if said.get("slowest") or said.get("errors") or said.get("samples")
    ]
    return {"shown": shown} if shown else None


def _replay(campaign: str, said: dict[str, Any]) -> str:
    """What to type to send one of them again."""
    ids = [one["request_id"] for one in (*said["errors"], *said["slowest"]) if one["request_id"]]
    return shlex.join(["shakeout", "replay", campaign, "--request", ids[0]]) if ids else ""
