"""Who took part: workers, their clocks against the common one, and the attempts that did not end well."""

from typing import Any

from orchestrator.outcome import Outcome


def fleet(report: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Workers with what they ran, and how far the generator itself was in the way of each activity."""
    del outcome
    attempts: dict[str, int] = {}
    for said in report["activities"].values():
        for attempt in said["attempts"]:
            attempts[attempt["worker"]] = attempts.get(attempt["worker"], 0) + 1
    return {
        "workers": [one | {"attempts": attempts.get(one["worker"], 0)} for one in report["fleet"]],
        "generators": [
            (name, said["generator"], said["achieved"], said["coverage"])
            for name, said in report["activities"].items()
            if "generator" in said
        ],
    }
