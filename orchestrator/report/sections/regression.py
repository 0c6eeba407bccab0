"""Golden cases: how many held, and each that did not with what was expected and what came."""

from typing import Any

from orchestrator.results.outcome import Outcome


def regression(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """One block an activity; None where no golden set was run."""
    del outcome
    blocks = [
        {"name": name, "verdict": said["verdict"], **said["cases"]}
        for name, said in report["activities"].items()
        if "cases" in said
    ]
    return {"blocks": blocks} if blocks else None
