import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from orchestrator.report.build import build_report, validate_report
from orchestrator.report.junit import render_junit

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["passed", "failed"])
def test_a_stored_report_gives_its_golden_file(name):
    report = json.loads((GOLDEN / f"{name}.json").read_text())
    validate_report(report)
    assert render_junit(report) == (GOLDEN / f"{name}.xml").read_text()


def _cases(text):
    return {case.get("name"): case for case in ET.fromstring(text).iter("testcase")}


def test_invalid_is_an_error_fail_a_failure_and_skipped_is_skipped(failed):
    cases = _cases(render_junit(build_report(failed)))
    assert cases["peak-load: verdict"].find("error").get("type") == "invalid"
    assert cases["p99(ttft) < 250ms outside faults"].find("failure").get("type") == "fail"
    assert "requires peak" in cases["soak"].find("skipped").get("message")
    assert cases["checkout-launch: verdict"].find("error") is not None


def test_inconclusive_is_a_failure_of_its_own_type(outcome_of):
    text = outcome_of().state.submitted.text.replace("success_rate >= 99%", "success_rate >= 99.9%")
    cases = _cases(render_junit(build_report(outcome_of(text=text))))
    assert cases["success_rate >= 99.9%"].find("failure").get("type") == "inconclusive"


def test_the_counts_of_the_suites_add_up(failed):
    root = ET.fromstring(render_junit(build_report(failed)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(root.get(name)) == len(list(root.iter(tag)))
    assert int(root.get("tests")) == len(list(root.iter("testcase")))


def test_control_characters_of_a_target_leave_the_xml_readable(outcome_of):
    report = build_report(outcome_of(bad_cases=5, error_text="\x00\x1b[31m]]>&<"))
    report["slos"][0]["why"] = "\x00\x1b[31m ]]> & <x>"
    cases = _cases(render_junit(report))
    assert "]]> & <x>" in cases["pass_rate >= 90%"].find("failure").text
