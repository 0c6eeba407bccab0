"""How the clients behaved, in report.json: tries of a request, turns of a conversation."""

from typing import Any

from orchestrator.aggregate.totals import ActivityTotals
from workers.contract.snapshot import RetryCounts, SessionCounts


def clients_section(totals: ActivityTotals) -> dict[str, Any]:
    """`retries` and `sessions` of an activity, warm-up included; {} where its clients do neither."""
    found: dict[str, Any] = {}
    if totals.retries is not None:
        found["retries"] = _retries(totals.retries)
    if totals.sessions is not None:
        found["sessions"] = _sessions(totals.sessions)
    return found


def _retries(counts: RetryCounts) -> dict[str, Any]:
    """`tries_sent`: what the target's own log holds, up to what is unknown of a lost engine.

    `attempts_per_request`: tries, those that could not connect among them, by request that was over.
    """
    over = sum(counts.tries.values())
    tries = sum(number * requests for number, requests in counts.tries.items())
    return {
        "tries_sent": counts.written,
        "requests": over,
        "attempts_per_request": round(tries / over, 6) if over else None,
        "requests_by_attempts": {str(number): counts.tries[number] for number in sorted(counts.tries)},
        "tried_again": _by_count(counts.tried_again),
        "not_again": _by_count(counts.not_again),
        "breaker": {"opened": counts.opened, "held_back": counts.held_back},
    }


def _sessions(counts: SessionCounts) -> dict[str, Any]:
    return {
        "begun": counts.begun,
        "whole": counts.whole,
        "broken": sum(counts.broken.values()),
        "broken_at_turn": {str(turn): counts.broken[turn] for turn in sorted(counts.broken)},
        "ended_with_schedule": counts.over,
        "cut": max(0, counts.begun - counts.whole - sum(counts.broken.values()) - counts.over),
    }


def _by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
