"""First of all: the verdict in one word, why, and the campaign in six numbers."""

from collections.abc import Sequence
from typing import Any

from orchestrator.report.formats import ABSENT, duration, number, share
from orchestrator.results.outcome import Outcome

MEANING = {
    "pass": "Every claim held.",
    "fail": "The target broke at least one claim.",
    "inconclusive": "There is too little data for at least one claim.",
    "invalid": "The test, not the target, was at fault: nothing may be concluded from it.",
}
MOST_REASONS = 12


def verdict(report: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """The verdict, its reasons in their order, and what was tried."""
    del outcome
    aborted = report["exit_code"] == 5
    reasons = report["reasons"]
    return {
        "meaning": "A person stopped the campaign." if aborted else MEANING[report["verdict"]],
        "reasons": reasons[:MOST_REASONS],
        "more": max(0, len(reasons) - MOST_REASONS),
        "facts": _facts(report),
    }


def _recovered_by_itself(fault: dict[str, Any], faults: Sequence[dict[str, Any]]) -> bool:
    """Whether the traffic was back before another fault came: else it was back from that one, too."""
    if fault["recovery_s"] is None:
        return False
    back_s = (fault["reverted"] or fault["injected"]) + fault["recovery_s"]
    return not any(fault["injected"] < (other["injected"] or 0.0) < back_s for other in faults)


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """(what, number) of the campaign as a whole, over judged spans."""
    asked = [one["requests"] for one in report["activities"].values() if "requests" in one]
    total = {
        name: sum(one[name] for one in asked)
        for name in ("scheduled", "sent", "ok", "failed", "unsent", "unknown")
    }
    counted = total["ok"] + total["failed"] + sum(one["unsent_by"]["target"] for one in asked)
    judged = [one["verdict"] for one in report["slos"]]
    coverages = [one["coverage"] for one in report["activities"].values() if "coverage" in one]
    faults = report["faults"]
    recoveries = [one["recovery_s"] for one in faults if _recovered_by_itself(one, faults)]
    return [
        ("Claims held", f"{judged.count('pass')} of {len(judged)}" if judged else ABSENT),
        ("Requests sent", number(total["sent"])),
        ("Answered well", share(total["ok"] / counted) if counted else ABSENT),
        ("Lowest coverage", share(min(coverages)) if coverages else ABSENT),
        ("Faults injected", number(sum(one["injected"] is not None for one in report["faults"]))),
        ("Longest recovery", duration(max(recoveries)) if recoveries else ABSENT),
    ]
