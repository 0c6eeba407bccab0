"""What faults have done, counted, as reports have it."""

from orchestrator.report.faults import unfolded
from orchestrator.report.sections.faults import _counted

DID = {"sent": 1200, "answers.200": 1000, "answers.503": 2, "unexpected.cut.200": 1}


def test_counters_are_unfolded_by_their_names():
    assert unfolded(DID) == {
        "sent": 1200,
        "answers": {"200": 1000, "503": 2},
        "unexpected": {"cut": {"200": 1}},
    }


def test_counters_are_told_in_a_line():
    assert _counted(unfolded(DID)) == "sent 1,200 · answers 200 × 1,000, 503 × 2 · unexpected cut 200 × 1"
    assert _counted({}) == ""
