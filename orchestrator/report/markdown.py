"""report.json -> a short Markdown page for a pull request's comment: verdict, claims, faults, numbers."""

from typing import Any

from orchestrator.report.formats import (
    ABSENT,
    duration,
    fault_names,
    moment,
    number,
    quantity,
    rate,
    share,
)
from orchestrator.report.markup import code, table, text
from orchestrator.verdict import EXIT_CODES

MOST_REASONS = 10
_MEANING = {
    "pass": "every claim held",
    "fail": "the target broke a claim",
    "inconclusive": "too little data for a claim",
    "invalid": "the test, not the target, was at fault",
}


def render_markdown(report: dict[str, Any]) -> str:
    """The report in GitHub's Markdown; text that came from a target is escaped and stays on its line."""
    campaign = report["campaign"]
    lines = [
        f"## {text(campaign['name'])}: {report['verdict'].upper()}",
        "",
        f"{_meaning(report).capitalize()}. {_when(campaign)}",
        "",
        *_reasons(report),
        *_claims(report["slos"]),
        *_activities(report["activities"]),
        *_faults(report["faults"]),
        *_phases(report["phases"]),
        f"Run `{campaign['id']}`, Shakeout {report['reproduce']['version']}.",
    ]
    return "\n".join(lines) + "\n"


def _meaning(report: dict[str, Any]) -> str:
    return (
        "a person stopped the campaign"
        if report["exit_code"] == EXIT_CODES["aborted"]
        else _MEANING[report["verdict"]]
    )


def _when(campaign: dict[str, Any]) -> str:
    waited = f" ({duration(campaign['waited_s'])} of it in the queue)" if "waited_s" in campaign else ""
    took = f"{duration(campaign['duration_s'])}{waited}"
    return f"{moment(campaign['started'])}, {took}, seed {campaign['seed']}."


def _reasons(report: dict[str, Any]) -> list[str]:
    reasons = report["reasons"]
    lines = [f"- {text(reason)}" for reason in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        lines.append(f"- and {len(reasons) - MOST_REASONS} more")
    return [*lines, ""] if lines else []


def _claims(slos: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            f"**{slo['verdict']}**" if slo["verdict"] != "pass" else "pass",
            code(slo["slo"]),
            text(slo["activity"]) or slo["place"],
            quantity(slo["observed"], slo["unit"]),
            share(slo["allowance_used"]) if slo["allowance_used"] is not None else ABSENT,
        )
        for slo in slos
    ]
    return table(("verdict", "claim", "on", "observed", "of the allowance"), rows, align="lllrr")


def _activities(activities: dict[str, Any]) -> list[str]:
    rows = []
    for name, said in activities.items():
        if "requests" not in said:
            continue
        asked, times = said["requests"], said.get("latency_s", {})
        rows.append(
            (
                text(name),
                number(asked["scheduled"]),
                number(asked["ok"]),
                number(asked["failed"]),
                number(asked["unsent"]),
                number(asked["unknown"]),
                rate(said["throughput_per_s"]),
                duration(times.get("p50")),
                duration(times.get("p99")),
            )
        )
    head = ("activity", "scheduled", "ok", "failed", "unsent", "unknown", "ok/s", "p50", "p99")
    return table(head, rows, align="lrrrrrrrr")


def _faults(faults: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            text(name),
            text(one["fault"]),
            "not run"
            if one["injected"] is None
            else {True: "yes", False: "no", None: "not known"}[one["took_effect"]],
            duration(one["detected_s"]) if one["detected_s"] is not None else "not felt",
            "not recovered" if one["recovered"] is False else duration(one["recovery_s"]),
        )
        for one, name in zip(faults, fault_names(faults), strict=True)
    ]
    return table(("fault", "kind", "took effect", "detected after", "recovered in"), rows, align="lllrr")


def _phases(phases: list[dict[str, Any]]) -> list[str]:
    skipped = [one for one in phases if one["verdict"] is None]
    lines = [f"- {text(one['name'])} was skipped: {text(one['skipped_because'])}" for one in skipped]
    return [*lines, ""] if lines else []
