"""What a game day teaches about its own means."""

from orchestrator.report.lessons import actions


def test_a_webhook_that_failed_for_one_reason_is_one_thing_to_mend():
    untold = [("the start", "it answered 500"), ("a gate", "it answered 500"), ("a gate", "it answered 500")]
    day = {
        "faults": [], "not_run": [], "approvals": [], "runbook": [], "posed": [], "history": [],
        "unannounced": [{"what": what, "why": why} for what, why in (*untold, ("the end", "no answer"))],
    }  # fmt: skip
    assert list(actions(day, {"slos": [], "faults": []})) == [
        "Mend the webhook: it was not told of the start, a gate (it answered 500)",
        "Mend the webhook: it was not told of the end (no answer)",
    ]
