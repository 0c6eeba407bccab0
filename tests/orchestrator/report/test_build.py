import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from orchestrator.report import activity
from orchestrator.report.build import build_report, report_schema, validate_report

CAMPAIGN = (Path(__file__).parent / "campaign.yaml").read_text()
Q = {"count", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"}


def test_reports_of_every_ending_keep_to_the_shipped_schema(outcome_of, passed, failed):
    Draft202012Validator.check_schema(report_schema())
    for outcome in (passed, failed, outcome_of(took_effect=False), outcome_of(slow_s=0.3)):
        validate_report(build_report(outcome))


def test_the_schema_refuses_a_key_that_nobody_declared(report):
    with pytest.raises(ValidationError):
        validate_report({**report, "surprise": 1})
    load = {**report["activities"]["peak-load"], "vibe": "good"}
    with pytest.raises(ValidationError):
        validate_report({**report, "activities": {"peak-load": load}})


def test_a_report_is_strict_json_and_reads_back_as_it_was(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_every_scheduled_arrival_is_accounted_for(passed, failed):
    for outcome in (passed, failed):
        for said in build_report(outcome)["activities"].values():
            if "requests" not in said:
                continue
            asked = said["requests"]
            assert asked["scheduled"] == asked["ok"] + asked["failed"] + asked["unsent"] + asked["unknown"]
            assert asked["sent"] == asked["ok"] + asked["failed"]
            assert asked["failed"] == sum(asked["by_error"].values())
            assert asked["unsent"] == sum(asked["unsent_by"].values())


def test_a_lost_shard_leaves_unknown_and_unsent_requests_and_a_gap_that_says_why(failed):
    load = build_report(failed)["activities"]["peak-load"]
    assert load["requests"]["unknown"] > 0
    assert load["requests"]["unsent_by"]["generator"] > 0
    (gap,) = load["gaps"]
    assert (gap["unknown"], gap["unsent"]) == (load["requests"]["unknown"], load["requests"]["unsent"])
    assert "kill -9" in gap["why"]
    assert [one["outcome"] for one in load["attempts"]] == ["done", "lost", "done"]
    assert load["coverage"] < 0.99
    assert load["verdict"] == "invalid"


def test_the_warm_up_stands_apart_from_the_judged_requests(report):
    load = report["activities"]["peak-load"]
    assert load["warmup"]["requests"]["ok"] > 0
    assert load["latency_s"]["count"] == load["requests"]["ok"]
    assert load["rate_per_s"] == pytest.approx(load["requests"]["sent"] / 57)
    assert load["throughput_per_s"] == pytest.approx(load["requests"]["ok"] / 57)


def test_a_quantity_holds_every_quantile_in_order_or_is_absent(report):
    load = report["activities"]["peak-load"]
    assert set(load["latency_s"]) == Q
    in_order = [load["latency_s"][name] for name in ("p50", "p90", "p95", "p99", "p99.9", "max")]
    assert in_order == sorted(in_order)
    assert "wait_s" not in load
    assert "latency_s" not in report["activities"]["server-hang"]


def test_other_tools_names_come_from_the_same_sketches(report):
    load = report["activities"]["peak-load"]
    assert load["aliases"]["vllm"]["itl_s"] == load["itl_s"]
    assert load["aliases"]["aiperf"]["time_to_first_token_s"] == load["ttft_sent_s"]
    assert "time_per_output_token_s" not in load["aliases"]["guidellm"]


def test_a_fault_tells_both_clocks_its_effect_and_the_recovery(passed, report):
    (fault,) = report["faults"]
    start_s = passed.state.phases["peak"].start_s
    assert fault["injected"] == pytest.approx(start_s + fault["injected_after_s"])
    assert fault["reverted_after_s"] == pytest.approx(37.05)
    assert fault["took_effect"] is True
    assert fault["recovered"] is True
    assert fault["recovery_s"] == fault["impact"][0]["recovery_s"] > 0
    assert fault["impact"][0]["signals"]["latency_p99_s"]["change"]["value"] > 0.5


def test_a_fault_without_effect_is_told_and_makes_the_campaign_invalid(outcome_of):
    report = build_report(outcome_of(took_effect=False, fault_why="the process went on"))
    assert report["faults"][0]["took_effect"] is False
    assert report["activities"]["server-hang"]["verdict"] == "invalid"
    assert (report["verdict"], report["exit_code"]) == ("invalid", 4)


def test_a_skipped_phase_has_no_verdict_and_says_why(failed):
    soak = build_report(failed)["phases"][2]
    assert soak["verdict"] is None
    assert "requires peak" in soak["skipped_because"]
    assert soak["activities"] == []


def test_failed_cases_are_listed_with_their_reasons(failed):
    cases = build_report(failed)["activities"]["golden"]["cases"]
    assert (cases["judged"], cases["passed"], cases["failed_count"]) == (24, 23, 1)
    assert "expected 'one two'" in cases["failed"][0]["why"]


def test_claims_carry_their_unit_and_how_much_of_the_allowance_was_used(report):
    by_name = {one["slo"]: one for one in report["slos"]}
    quantile = by_name["p95(latency) < 1.2s"]
    assert (quantile["op"], quantile["unit"], quantile["phase"]) == ("<", "s", "peak")
    assert quantile["allowance_used"] == pytest.approx(quantile["observed"] / 1.2)
    success = by_name["success_rate >= 95%"]
    assert success["allowance_used"] == pytest.approx((1 - success["observed"]) / 0.05)
    assert by_name["success_rate < 10% over 10s"]["place"] == "abort_if"


def test_an_abort_if_whose_window_never_ran_is_not_said_to_have_held(outcome_of, report):
    (looked,) = [one for one in report["slos"] if one["place"] == "abort_if"]
    assert looked["why"] == "never became true"
    long = outcome_of(text=CAMPAIGN.replace("over 10s", "over 5m"))
    (never,) = [one for one in build_report(long)["slos"] if one["place"] == "abort_if"]
    assert never["why"] == "never looked at: no traffic lasted as long as its window of 5 min"


def test_no_secret_of_the_campaign_file_comes_back(report):
    text = json.dumps(report)
    assert "s3cr3t-t0ken" not in text
    assert "hunter2" not in text
    assert "${env:TEAM}" in report["reproduce"]["campaign_file"]


def test_a_header_set_on_the_command_line_is_masked(outcome_of):
    report = build_report(outcome_of(sets=("targets.chat.headers.X-Key=abracadabra",)))
    assert "abracadabra" not in json.dumps(report)
    assert report["reproduce"]["command"].startswith("shakeout run campaign.yaml --set ")


def test_a_drawn_seed_is_part_of_the_command(outcome_of):
    text = outcome_of().state.submitted.text.replace("seed: 7\n", "")
    report = build_report(outcome_of(text=text))
    assert report["reproduce"]["seed"] == 99
    assert report["reproduce"]["command"] == "shakeout run campaign.yaml --set seed=99"


def test_what_is_too_much_to_be_listed_is_counted_and_what_was_lost_is_listed_first(failed, monkeypatch):
    whole = build_report(failed)["activities"]["peak-load"]
    monkeypatch.setattr(activity, "MOST_GAPS", 0)
    monkeypatch.setattr(activity, "MOST_ATTEMPTS", 1)
    short = build_report(failed)["activities"]["peak-load"]
    (gap,) = whole["gaps"]
    assert (short["gaps"], len(short["attempts"])) == ([], 1)
    assert short["attempts"][0]["outcome"] == "lost"
    assert [one for one in short["warnings"] if one not in whole["warnings"]] == [
        f"1 of 1 gaps are not listed here, with {gap['unsent']} unsent and {gap['unknown']} unknown arrivals",
        "2 of 3 attempts are not listed here: journal.jsonl has them all",
    ]
    assert short["requests"] == whole["requests"]
