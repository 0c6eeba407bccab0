"""How the clients behaved: tries of a request, what kept others from being made, turns of conversations."""

from typing import Any

from orchestrator.results.outcome import Outcome

REASONS = {
    "attempts": "all their attempts were used",
    "within": "it would have been too late",
    "budget": "the budget was spent",
    "breaker": "the breaker was open",
    "rate_limit": "the target's rate_limit was reached",
    "stopped": "the load was stopped",
    "exhausted": "the generator had no socket left",
}


def clients(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """Activities whose clients try again or talk in turns; None where there are none."""
    del outcome
    shown = [
        {
            "name": name,
            "retries": said.get("retries"),
            "sessions": said.get("sessions"),
            "turns": _turns(said),
        }
        for name, said in report["activities"].items()
        if "retries" in said or "sessions" in said
    ]
    return {"shown": shown, "reasons": REASONS} if shown else None


def _turns(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Turns of conversations in their order, each with its numbers."""
    if "sessions" not in said:
        return []
    of_turns = [
        (name.removeprefix("turn="), one) for name, one in said["groups"].items() if name.startswith("turn=")
    ]
    return [
        {
            "turn": turn,
            "ok": one["outcomes"].get("ok", 0),
            "latency_s": one.get("latency_s"),
            "ttft_s": one.get("ttft_s"),
        }
        for turn, one in sorted(of_turns, key=lambda pair: int(pair[0]))
    ]
