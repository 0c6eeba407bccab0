from dataclasses import replace

import pytest

from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.report.build import build_report, validate_report
from orchestrator.report.tables import is_apart, row_of, tables, too_many
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot


def cell(second, group, *, ok=0, latency_s=0.1, **outcomes):
    sketches = {"latency": [latency_s] * ok, "ttft": [latency_s / 2] * ok}
    sketches["latency_failed"] = [latency_s * 10] * sum(outcomes.values())
    wires = {name: to_wire(sketch_of(values)) for name, values in sketches.items() if values}
    return Cell(second, group, ({"ok": ok} if ok else {}) | outcomes, {}, wires)


@pytest.fixture
def measured(passed):
    """The load of the made-up campaign, measured otherwise: 60 s of which the first 5 are its warm-up."""
    (peak,) = [one for phase in passed.phases for one in phase.measured if one.plan.key == "peak-load"]

    def make(*cells, stages=None):
        totals = ActivityTotals()
        totals.absorb(Snapshot("peak-load", 0, "peak-load:0:1", 1, 0.0, 0, 0, [], list(cells)))
        evidence = replace(peak.evidence, duration_s=60.0, warmup_s=10.0, stages=stages or {})
        return replace(peak, totals=totals, evidence=evidence)

    return make


def test_segments_add_up_to_the_whole_with_a_row_for_the_values_that_nobody_named(measured):
    found = tables(
        measured(
            cell(1, "", ok=90, http_503=10),
            cell(2, "", ok=50),
            cell(1, "lang=de", ok=30, latency_s=0.2),
            cell(2, "lang=de", ok=20, latency_s=0.2),
            cell(1, "lang=en", ok=40, http_503=10),
        )
    )["segments"]
    assert list(found) == ["lang=de", "lang=en", "lang=(others)"]
    assert [one["sent"] for one in found.values()] == [50, 50, 50]
    assert [one["success"] for one in found.values()] == [1.0, 0.8, 1.0]
    assert found["lang=de"]["rate_per_s"] == 1.0
    assert found["lang=de"]["latency_s"]["p99"] == pytest.approx(0.2, rel=0.005)
    assert found["lang=de"]["ttft_s"]["p50"] == pytest.approx(0.1, rel=0.005)
    assert "latency_s" not in found["lang=(others)"]


def test_a_tag_all_of_whose_values_are_shown_has_no_row_for_others(measured):
    found = tables(measured(cell(1, "", ok=9), cell(1, "lang=de", ok=9)))
    assert list(found["segments"]) == ["lang=de"]


def test_the_rate_of_a_stage_is_over_what_of_it_is_judged(measured):
    stages = {"low": (0.0, 20.0), "high": (20.0, 60.0), "named-by-nobody": (60.0, 61.0)}
    found = tables(
        measured(
            cell(12, "", ok=500), cell(12, "stage=low", ok=100), cell(30, "stage=high", ok=400), stages=stages
        )
    )["stages"]
    assert {name: one["rate_per_s"] for name, one in found.items()} == {"low": 10.0, "high": 10.0}


def test_each_way_to_end_is_told_with_its_share_and_how_long_it_took(measured):
    found = tables(
        measured(
            cell(1, "", ok=80, http_503=15, timeout=4, unsent_target=1),
            cell(1, "@outcome=http_503", http_503=15, latency_s=0.001),
            cell(1, "@outcome=timeout", timeout=4, latency_s=0.5),
        )
    )["outcomes"]
    assert [(name, one["count"], one["share"]) for name, one in found.items()] == [
        ("ok", 80, 0.8), ("http_503", 15, 0.15), ("timeout", 4, 0.04), ("unsent_target", 1, 0.01),
    ]  # fmt: skip
    assert found["http_503"]["latency_s"]["max"] == pytest.approx(0.01)
    assert found["timeout"]["latency_s"]["max"] == pytest.approx(5.0)
    assert found["ok"]["latency_s"]["count"] == 80
    assert "latency_s" not in found["unsent_target"]


def test_several_endpoints_of_one_activity_are_told_apart(measured):
    found = tables(
        measured(cell(1, "", ok=9), cell(1, "@endpoint=GET /a", ok=4), cell(1, "@endpoint=POST /b", ok=5))
    )
    assert {name: one["ok"] for name, one in found["endpoints"].items()} == {"GET /a": 4, "POST /b": 5}


def test_success_counts_what_waited_too_long_for_the_target_but_not_what_we_did_not_send():
    totals = ActivityTotals()
    outcomes = cell(1, "", ok=6, http_500=1, unsent_target=1, unsent_generator=2, abandoned=0)
    totals.absorb(Snapshot("a", 0, "a:0:1", 1, 0.0, 0, 0, [], [outcomes]))
    row = row_of(totals.group(""), 2.0)
    assert (row["sent"], row["ok"], row["failed"], row["unsent"]) == (7, 6, 1, 3)
    assert row["success"] == 0.75
    assert row["rate_per_s"] == 3.5


def test_tags_with_too_many_values_are_named(measured):
    one = measured(cell(1, "", ok=9), cell(1, "lang=de", ok=9))
    assert too_many(one, ("lang",)) == ()
    assert too_many(one, ("lang", "user")) == ("the rows are not shown by user: it has more than 20 values",)


def test_groups_that_tables_are_made_of_are_no_segments():
    assert [name for name in ("", "warmup", "@outcome=ok", "lang=de") if is_apart(name)] == ["lang=de"]


def test_endpoints_of_a_campaign_hold_all_activities_on_a_target(passed):
    report = build_report(passed)
    validate_report(report)
    sent = {name: one["requests"]["sent"] for name, one in report["activities"].items() if "requests" in one}
    for one in report["endpoints"]:
        assert one["sent"] == sum(sent[name] for name in one["activities"])
    assert sorted(name for one in report["endpoints"] for name in one["activities"]) == sorted(sent)
