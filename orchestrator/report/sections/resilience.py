"""What the target withstood, by class of fault, with what was not tried and how it was before."""

from typing import Any

from orchestrator.report.resilience import resilience_words
from orchestrator.results.outcome import Outcome


def resilience(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """A row a class; None for a campaign without faults."""
    del outcome
    return resilience_words(report)
