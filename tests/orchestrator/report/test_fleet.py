from dataclasses import replace

from msgspec import structs

from orchestrator.report.build import build_report, validate_report
from orchestrator.report.html import render_html
from workers.contract import facts as f

MIG = f.Gpu("NVIDIA H100", mig=("NVIDIA H100 MIG 1g.10gb", "NVIDIA H100 MIG 1g.10gb"), mig_on=True)


def test_a_worker_stands_with_what_its_host_has_and_its_driver_says(passed):
    report = build_report(passed)
    first, second = report["fleet"]
    assert (first["gpus"], first["driver"]) == ([], "no NVIDIA driver")
    assert (second["gpus"], second["driver"]) == (["NVIDIA H200"], "550.54.15")
    assert (first["kernel"], first["cpu"], first["python"]) == (
        "Linux 6.1.0-18-amd64", "AMD EPYC 9454", "3.11.2",
    )  # fmt: skip
    page = render_html(report, passed)
    for words in ("none, no NVIDIA driver", "1 × NVIDIA H200, driver 550.54.15", "AMD EPYC 9454"):
        assert words in page


def test_a_gpu_with_mig_on_stands_as_its_instances(passed):
    (first, *rest) = passed.fleet
    outcome = replace(passed, fleet=(structs.replace(first, gpus=(MIG, f.Gpu("NVIDIA H200"))), *rest))
    report = build_report(outcome)
    validate_report(report)
    assert report["fleet"][0]["gpus"] == [*MIG.mig, "NVIDIA H200"]
    assert "2 × NVIDIA H100 MIG 1g.10gb, 1 × NVIDIA H200" in render_html(report, outcome)


def test_a_host_is_told_once_with_its_workers(passed):
    fleet = tuple(structs.replace(card, host="one.internal") for card in passed.fleet)
    outcome = replace(passed, fleet=fleet)
    assert "<td>atlas, borea</td>" in render_html(build_report(outcome), outcome)


def test_what_was_refused_stands_in_the_report_with_who_and_why(passed):
    said = (
        f.Refused(what="abort", by="mallory", why="the abort is not signed", at_s=3.0),
        f.TaskRefused(attempt="peak-load:0:1", worker="atlas", why="the task was altered <b>", at_s=4.0),
    )
    outcome = replace(passed, state=replace(passed.state, refusals=said))
    report = build_report(outcome)
    validate_report(report)
    assert report["refusals"] == [
        {"at": 3.0, "what": "abort", "by": "mallory", "why": "the abort is not signed"},
        {"at": 4.0, "what": "task", "by": "atlas", "why": "peak-load:0:1: the task was altered <b>"},
    ]
    page = render_html(report, outcome)
    assert "<td>mallory</td><td>the abort is not signed</td>" in page
    assert "the task was altered &lt;b&gt;" in page
    assert build_report(passed)["refusals"] == []
    assert "<h4>Refused</h4>" not in render_html(build_report(passed), passed)
