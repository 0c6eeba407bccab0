"""The journal in words: what happened when, and who said so. Routine steps of single shards are left out."""

from typing import Any

from orchestrator.report.timeline import timeline_section
from orchestrator.results.outcome import Outcome

MOST_ROWS = 400


def timeline(report: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Rows (common time, seconds since the campaign's start, tone, text) in the order of time."""
    told = report.get("timeline") or timeline_section(outcome)
    rows = [(one["at"], one["after_s"], one["tone"], one["text"]) for one in told]
    return {"rows": rows[:MOST_ROWS], "more": max(0, len(rows) - MOST_ROWS), "facts": len(outcome.journal)}
