"""Whether a target answered the clients of a fault only as it documents."""

from types import SimpleNamespace

import pytest

from orchestrator.judging.answers import judge_answers
from orchestrator.slo.evidence import FaultSpan
from workers.contract.fault_steps import FaultStep

MALFORMED = FaultStep("malformed", {"rate": "1/s"}, None, 0.0, 1.0)
NOOP = FaultStep("noop", {}, None, 0.0, 1.0)


def _judged(*steps, **did):
    spans = [
        FaultSpan("c", "malformed", 1.0, 2.0, step=int(step[1:]), did=counts) for step, counts in did.items()
    ]
    return list(judge_answers(SimpleNamespace(key="c", steps=steps), spans))


@pytest.mark.parametrize(
    ("did", "verdict", "why"),
    [
        ({"answers.400": 7, "answers.422": 1}, "pass", "all of 8 answers"),
        (
            {"answers.400": 7, "answers.200": 2, "unexpected.cut.200": 2},
            "fail",
            "2 of 9 answers were others: cut answered 200 × 2",
        ),
        ({"sent": 3, "failed.closed": 3}, "inconclusive", "no request was answered"),
    ],
)
def test_answers_are_held_against_those_documented(did, verdict, why):
    (said,) = _judged(MALFORMED, s0=did)
    assert (said.slo, said.place) == ("documented answers of malformed: 4xx", "expect")
    assert (said.verdict, said.why) == (verdict, why)


def test_each_step_is_judged_by_itself_over_all_of_its_hosts():
    steps = (NOOP, MALFORMED, MALFORMED)
    spans = [
        FaultSpan("c", "malformed", 1.0, 2.0, step=1, did={"answers.400": 1}),
        FaultSpan("c", "malformed", 1.0, 2.0, step=1, did={"answers.500": 1, "unexpected.empty.500": 1}),
        FaultSpan("c", "malformed", 3.0, 4.0, step=2, did={"answers.400": 5}),
    ]
    first, second = judge_answers(SimpleNamespace(key="c", steps=steps), spans)
    assert (first.slo, first.verdict, first.samples) == (
        "documented answers of malformed (2): 4xx",
        "fail",
        2,
    )
    assert (second.slo, second.verdict, second.samples) == (
        "documented answers of malformed (3): 4xx",
        "pass",
        5,
    )


def test_faults_that_document_no_answers_are_not_judged():
    assert _judged(NOOP, s0={}) == []
