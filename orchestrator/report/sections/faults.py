"""The faults: whether each took effect, what the traffic felt, and how long until it was back."""

from typing import Any

from markupsafe import Markup

from orchestrator.outcome import Outcome
from orchestrator.report.charts.over_time import fault_charts
from orchestrator.report.charts.picture import draw
from orchestrator.report.formats import ABSENT, duration, rate, share

_SIGNALS = {
    "bad_share": ("Failed or unsent", share),
    "throughput_per_s": ("Answers", rate),
    "latency_p99_s": ("p99 latency", duration),
    "ttft_p99_s": ("p99 time to first token", duration),
}


def faults(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """Every planned fault of the phases that ran; None where the campaign has none."""
    rows = [_fault(one, outcome) for one in report["faults"]]
    return {"rows": rows} if rows else None


def _fault(fault: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    return fault | {
        "effect": {True: "took effect", False: "no effect", None: "effect not known"}[fault["took_effect"]],
        "recovery": _recovery(fault),
        "impacts": [_impact(one) for one in fault["impact"]],
        "charts": _charts(fault, outcome),
    }


def _recovery(fault: dict[str, Any]) -> str:
    if fault["recovered"] is False:
        had_s = max((one["had_s"] for one in fault["impact"]), default=0.0)
        return f"not recovered in the {duration(had_s)} that it had"
    since = "injection" if fault["one_shot"] else "revert"
    return f"{duration(fault['recovery_s'])} after the {since}" if fault["recovery_s"] is not None else ABSENT


def _impact(impact: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, values in impact["signals"].items():
        label, say = _SIGNALS[name]
        rows.append((label, say(values["baseline"]), say(values["fault"]), _change(name, values["change"])))
    before, highest = impact["in_flight_before"], impact["in_flight_highest"]
    return impact | {
        "rows": rows,
        "crowd": (before, highest) if before is not None and highest is not None else None,
    }


def _change(name: str, change: dict[str, Any] | None) -> str:
    """The difference with its 95% interval; of shares in percentage points."""
    if change is None:
        return ABSENT
    say = _points if name == "bad_share" else _SIGNALS[name][1]
    text = _signed(change["value"], say)
    if change["lower"] is None or change["upper"] is None:
        return text
    return f"{text} ({_signed(change['lower'], say)} to {_signed(change['upper'], say)})"


def _points(value: float) -> str:
    return f"{value * 100:.3g} points"


def _signed(value: float, say: Any) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{say(abs(value))}"


def _charts(fault: dict[str, Any], outcome: Outcome) -> list[Markup]:
    """Close-ups of what each observed activity felt."""
    result = next(
        (
            one
            for phase in outcome.phases
            for one in phase.faults
            if one.activity == fault["activity"] and one.worker == fault["worker"]
        ),
        None,
    )
    if result is None:
        return []
    observed = {one.activity for one in result.impacts}
    measured = [one for phase in outcome.phases for one in phase.measured if one.plan.key in observed]
    spans = {span.name: span for one in measured for span in one.evidence.faults}
    span = spans.get(fault["name"], result.span)
    return [draw(chart) for one in measured for chart in fault_charts(one, span)]
