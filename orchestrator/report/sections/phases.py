"""Phase by phase, activity by activity: where its requests went, how fast they were, and pictures of it."""

from typing import Any

from markupsafe import Markup

from orchestrator.aggregate.evidence import Measured
from orchestrator.report.charts.distribution import distribution_chart
from orchestrator.report.charts.over_time import charts_of
from orchestrator.report.charts.picture import draw
from orchestrator.results.outcome import Outcome

_TIMES = (
    ("latency_s", "Latency"),
    ("service_time_s", "Service time"),
    ("ttft_s", "Time to first token"),
    ("ttft_sent_s", "… from the send"),
    ("ttfot_s", "… reasoning left out"),
    ("tpot_s", "Time per output token"),
    ("itl_s", "Gap between chunks"),
    ("wait_s", "Wait for a free place"),
    ("connect_s", "Connect"),
    ("lag_s", "Generator's lag"),
    ("latency_failed_s", "Latency of failed"),
)
_SEGMENTS = ("ok", "failed", "unsent", "unknown")


def phases(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """All phases with their activities; faults have a section of their own."""
    measured = {one.plan.key: one for phase in outcome.phases for one in phase.measured}
    asked = report.get("endpoints", [])
    endpoints = {f"{one['target']} {one['endpoint'] or one['url']}".strip(): one for one in asked}
    return {
        "phases": [_phase(one, report, measured) for one in report["phases"]],
        "endpoints": endpoints if len(endpoints) > 1 else {},
    }


def _phase(phase: dict[str, Any], report: dict[str, Any], measured: dict[str, Measured]) -> dict[str, Any]:
    names = [name for name in phase["activities"] if "requests" in report["activities"][name]]
    return phase | {
        "shown": [_activity(name, report["activities"][name], measured.get(name)) for name in names]
    }


def _activity(name: str, said: dict[str, Any], measured: Measured | None) -> dict[str, Any]:
    return {
        "name": name,
        "said": said,
        "segments": _segments(said["requests"]),
        "times": [(label, said[key]) for key, label in _TIMES if key in said and _is_news(key, said)],
        "charts": _charts(measured, said["kind"]),
        "no_errors": not (
            said["requests"]["failed"] or said["requests"]["unsent"] or said["requests"]["unknown"]
        ),
        "lost": [one for one in said["attempts"] if one["outcome"] != "done"],
    }


def _is_news(key: str, said: dict[str, Any]) -> bool:
    """Without reasoning the first output is the first answer, and needs no second line."""
    return key != "ttfot_s" or said[key] != said.get("ttft_s")


def _segments(requests: dict[str, Any]) -> list[tuple[str, int, float]]:
    """(word, count, percent of the scheduled) of each way an arrival can end; a sliver stays visible."""
    whole = requests["scheduled"] or 1
    return [(word, requests[word], requests[word] / whole * 100) for word in _SEGMENTS]


def _charts(measured: Measured | None, kind: str) -> list[Markup]:
    """Over time where there is a schedule, and the distribution; an empty picture is left out."""
    if measured is None:
        return []
    found = list(charts_of(measured)) if kind != "regression" else []
    spread = distribution_chart(measured)
    found += [spread] if spread is not None else []
    return [draw(one) for one in found if one.bars or any(line.points for line in one.lines)]
