import pytest

from orchestrator.report.sections.verdict import verdict


def fault(injected, reverted, recovery_s):
    return {"injected": injected, "reverted": reverted, "recovery_s": recovery_s}


@pytest.mark.parametrize(
    ("faults", "longest"),
    [
        ([], "–"),
        ([fault(10.0, 12.0, 3.0), fault(60.0, 62.0, 1.0)], "3.00 s"),
        ([fault(10.0, 14.0, 9.0), fault(14.1, 18.0, 5.0), fault(18.1, 22.0, 1.0)], "1.00 s"),
        ([fault(10.0, None, 4.0), fault(11.0, 12.0, None)], "–"),
        ([fault(None, None, None), fault(10.0, None, 4.0)], "4.00 s"),
    ],
)
def test_the_longest_recovery_is_of_a_fault_that_the_traffic_was_back_from_before_the_next(faults, longest):
    report = {
        "verdict": "pass", "exit_code": 0, "reasons": [], "slos": [], "activities": {}, "faults": faults,
    }  # fmt: skip
    assert dict(verdict(report, None)["facts"])["Longest recovery"] == longest
