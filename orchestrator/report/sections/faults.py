"""The faults: whether each took effect, what the traffic felt, and how long until it was back."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from orchestrator.report.charts.over_time import fault_charts
from orchestrator.report.charts.picture import draw
from orchestrator.report.formats import ABSENT, duration, fault_names, rate, share
from orchestrator.results.outcome import Outcome

MOST_NAMED = 3
"""Processes and other things that a row names; report.json has all of them."""

MOST_SHOWN = 80
"""Characters of each."""

_SIGNALS = {
    "bad_share": ("Failed or unsent", share),
    "goodput": ("Goodput", share),
    "throughput_per_s": ("Answers", rate),
    "latency_p99_s": ("p99 latency", duration),
    "ttft_p99_s": ("p99 time to first token", duration),
}


def faults(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """Every planned fault of the phases that ran; None where the campaign has none."""
    every = report["faults"]
    rows = [_fault(one, outcome, name) for one, name in zip(every, fault_names(every), strict=True)]
    return {"rows": rows} if rows else None


def _fault(fault: dict[str, Any], outcome: Outcome, name: str) -> dict[str, Any]:
    objects = (*fault["processes"], *fault["touched"])
    rest = len(objects) - MOST_NAMED
    return fault | {
        "called": name,
        "objects": [*map(_short, objects[:MOST_NAMED]), *([f"and {rest} more"] if rest > 0 else [])],
        "effect": _effect(fault),
        "recovery": _recovery(fault),
        "counted": _counted(fault.get("did", {})),
        "impacts": [_impact(one) for one in fault["impact"]],
        "alert_rows": [_alert(one) for one in fault["alerts"]],
        "charts": _charts(fault, outcome),
    }


def _alert(alert: dict[str, Any]) -> dict[str, Any]:
    """When one alert fired, and how long each part of the way of its news was."""
    cells = [
        duration(alert[key]) if alert[key] is not None else ABSENT
        for key in ("fired_s", "noticed_s", "held_s", "sent_s", "routed_s", "resolved_s")
    ]
    if alert["fired_s"] is None:
        cells[0] = "was firing already" if alert["already"] else "did not fire"
    return {"alert": alert["alert"], "silenced": alert["silenced"], "cells": cells}


def _short(words: str) -> str:
    return words if len(words) <= MOST_SHOWN else words[: MOST_SHOWN - 1] + "…"


def _effect(fault: dict[str, Any]) -> str:
    if fault["injected"] is None:
        return "not run"
    return {True: "took effect", False: "no effect", None: "effect not known"}[fault["took_effect"]]


def _counted(did: dict[str, Any]) -> str:
    """What it has done, in a line: `sent 120 · answers 200 × 118, 503 × 2`."""
    parts = []
    for name, count in did.items():
        label = name.replace("_", " ")
        if isinstance(count, dict):
            parts.append(f"{label} {', '.join(f'{path} × {each:,}' for path, each in _leaves(count))}")
        else:
            parts.append(f"{label} {count:,}")
    return " · ".join(parts)


def _leaves(counts: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, count in counts.items():
        if isinstance(count, dict):
            yield from ((f"{name} {below}", each) for below, each in _leaves(count))
        else:
            yield name, count


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
    if tries := impact.get("attempts_per_request"):
        highest_text = "" if tries["highest"] is None else f"at most {tries['highest']:.2f} in a second"
        rows.append(("Tries a request", _tries(tries["baseline"]), _tries(tries["fault"]), highest_text))
    before, highest = impact["in_flight_before"], impact["in_flight_highest"]
    return impact | {
        "rows": rows,
        "crowd": (before, highest) if before is not None and highest is not None else None,
    }


def _change(name: str, change: dict[str, Any] | None) -> str:
    """The difference with its 95% interval; of shares in percentage points."""
    if change is None:
        return ABSENT
    say = _points if name in ("bad_share", "goodput") else _SIGNALS[name][1]
    text = _signed(change["value"], say)
    if change["lower"] is None or change["upper"] is None:
        return text
    return f"{text} ({_signed(change['lower'], say)} to {_signed(change['upper'], say)})"


def _tries(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2f}"


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
            if (one.activity, one.span.step + 1, one.span.worker)
            == (fault["activity"], fault["step"], fault["worker"])
        ),
        None,
    )
    if result is None:
        return []
    observed = {one.activity for one in result.impacts}
    measured = [one for phase in outcome.phases for one in phase.measured if one.plan.key in observed]
    spans = {(span.name, span.step): span for one in measured for span in one.evidence.faults}
    span = spans.get((fault["name"], result.span.step), result.span)
    return [draw(chart) for one in measured for chart in fault_charts(one, span)]
