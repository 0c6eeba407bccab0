import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.slo.evidence import Judgement
from orchestrator.verdict import EXIT_CODES, activity_verdict, campaign_verdict, phase_verdict, skipped


def judgement(verdict, slo="success_rate >= 99%"):
    return Judgement(slo, "slos", "peak", verdict, 0.5, 0.99, 100, 100.0, f"because {verdict}")


def campaign_of(*verdicts, invalid_reasons=()):
    activity = activity_verdict("peak", [judgement(one) for one in verdicts], invalid_reasons=invalid_reasons)
    return campaign_verdict([phase_verdict("load", [activity])])


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("pass", "pass"), "pass"),
        (("pass", "inconclusive"), "inconclusive"),
        (("inconclusive", "fail"), "fail"),
        (("fail", "invalid"), "invalid"),
        (("invalid", "pass"), "invalid"),
    ],
)
def test_within_an_activity_invalid_comes_before_fail_before_inconclusive_before_pass(verdicts, expected):
    assert activity_verdict("peak", [judgement(one) for one in verdicts]).verdict == expected


def test_an_invalid_activity_says_so_first():
    found = activity_verdict("peak", [judgement("fail")], invalid_reasons=["coverage was 90%"])
    assert found.verdict == "invalid"
    assert found.reasons[0] == "coverage was 90%"
    assert not found.valid_fail


def test_an_activity_without_slos_is_measured_and_not_judged():
    found = activity_verdict("peak", [])
    assert (found.verdict, found.reasons) == ("pass", ("measured, not judged: no SLO stands on it",))
    assert activity_verdict("gpus", [], kind="telemetry").reasons == ()


def test_reasons_name_the_expression_and_why():
    found = activity_verdict("peak", [judgement("pass"), judgement("inconclusive"), judgement("fail")])
    assert found.reasons == (
        "success_rate >= 99%: because fail",
        "success_rate >= 99% is inconclusive: because inconclusive",
    )


def test_over_the_campaign_a_valid_fail_comes_before_an_invalid_activity():
    phase = phase_verdict(
        "load",
        [
            activity_verdict("a", [], invalid_reasons=["coverage was 90%"]),
            activity_verdict("b", [judgement("fail")]),
        ],
    )
    found = campaign_verdict([phase])
    assert (phase.verdict, found.verdict, found.exit_code) == ("fail", "fail", 1)
    assert found.reasons == ("load: b: success_rate >= 99%: because fail", "load: a: coverage was 90%")


def test_a_valid_fail_beside_an_invalid_judgement_fails_the_campaign():
    found = campaign_of("fail", "invalid")
    assert (found.verdict, found.exit_code) == ("fail", 1)
    assert "because fail" in found.reasons[0]


def test_a_fail_in_an_activity_that_is_invalid_as_a_whole_is_no_valid_fail():
    found = campaign_of("fail", invalid_reasons=["the generator sent 90% of what was offered"])
    assert (found.verdict, found.exit_code) == ("invalid", 4)


@pytest.mark.parametrize(
    ("verdicts", "code"), [(("pass",), 0), (("fail",), 1), (("inconclusive",), 3), (("invalid", "pass"), 4)]
)
def test_each_verdict_has_its_exit_code(verdicts, code):
    assert campaign_of(*verdicts).exit_code == code


def test_a_fired_abort_is_a_fail_and_its_first_reason():
    passed = phase_verdict("load", [activity_verdict("peak", [judgement("inconclusive")])])
    found = campaign_verdict([passed], aborted_by_slo="success_rate < 80% over 1m: it was 12%")
    assert (found.verdict, found.exit_code) == ("fail", 1)
    assert found.reasons[0].startswith("success_rate < 80%")


def test_an_abort_by_a_person_exits_with_five_and_keeps_a_valid_fail():
    passed = phase_verdict("load", [activity_verdict("peak", [judgement("pass")])])
    found = campaign_verdict([passed], aborted_by_person="aborted by ada: dinner")
    assert (found.verdict, found.exit_code, found.reasons[0]) == ("invalid", 5, "aborted by ada: dinner")
    failed = phase_verdict("load", [activity_verdict("peak", [judgement("fail")])])
    found = campaign_verdict([failed], aborted_by_person="aborted by ada: dinner")
    assert (found.verdict, found.exit_code) == ("fail", EXIT_CODES["aborted"])


def test_a_phase_that_was_not_placed_is_invalid_with_its_reason_first():
    phase = phase_verdict("load", [], invalid_reasons=["not placed within 60 s: no worker has a GPU"])
    found = campaign_verdict([phase])
    assert (found.verdict, found.reasons) == (
        "invalid",
        ("load: not placed within 60 s: no worker has a GPU",),
    )


def test_a_skipped_phase_has_no_verdict_and_is_listed_after_what_decided():
    failed = phase_verdict("contract", [activity_verdict("golden", [judgement("fail")])])
    found = campaign_verdict([failed, skipped("peak", "contract failed")])
    assert found.verdict == "fail"
    assert found.reasons[-1] == "peak: skipped, contract failed"


def test_a_campaign_of_which_nothing_ran_is_invalid():
    assert campaign_verdict([]).exit_code == 4
    assert campaign_verdict([]).reasons == ("no phase ran",)


VERDICTS = st.sampled_from(["pass", "fail", "inconclusive", "invalid"])


@given(activities=st.lists(st.lists(VERDICTS, max_size=4), min_size=1, max_size=4))
def test_a_campaign_passes_only_where_everything_passed(activities):
    done = [
        activity_verdict(f"a{i}", [judgement(one) for one in verdicts])
        for i, verdicts in enumerate(activities)
    ]
    found = campaign_verdict([phase_verdict("only", done)])
    seen = {one for verdicts in activities for one in verdicts}
    assert (found.verdict == "pass") == (seen <= {"pass"})
    assert (found.verdict == "fail") == ("fail" in seen)
    assert found.verdict == "pass" or found.reasons
