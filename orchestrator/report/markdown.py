"""report.json -> a short Markdown page for a pull request's comment: verdict, claims, faults, numbers."""

import re
from collections.abc import Sequence
from typing import Any

from orchestrator.report.formats import ABSENT, duration, moment, number, quantity, rate, share

MOST_REASONS = 10
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@!&])")
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
        f"## {_text(campaign['name'])}: {report['verdict'].upper()}",
        "",
        f"{_MEANING[report['verdict']].capitalize()}. {_when(campaign)}",
        "",
        *_reasons(report),
        *_claims(report["slos"]),
        *_activities(report["activities"]),
        *_faults(report["faults"]),
        *_phases(report["phases"]),
        f"Run `{campaign['id']}`, Shakeout {report['reproduce']['version']}.",
    ]
    return "\n".join(lines) + "\n"


def _when(campaign: dict[str, Any]) -> str:
    return f"{moment(campaign['started'])}, {duration(campaign['duration_s'])}, seed {campaign['seed']}."


def _reasons(report: dict[str, Any]) -> list[str]:
    reasons = report["reasons"]
    lines = [f"- {_text(reason)}" for reason in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        lines.append(f"- and {len(reasons) - MOST_REASONS} more")
    return [*lines, ""] if lines else []


def _claims(slos: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            f"**{slo['verdict']}**" if slo["verdict"] != "pass" else "pass",
            _code(slo["slo"]),
            _text(slo["activity"]) or slo["place"],
            quantity(slo["observed"], slo["unit"]),
            share(slo["allowance_used"]) if slo["allowance_used"] is not None else ABSENT,
        )
        for slo in slos
    ]
    return _table(("verdict", "claim", "on", "observed", "of the allowance"), rows, align="lllrr")


def _activities(activities: dict[str, Any]) -> list[str]:
    rows = []
    for name, said in activities.items():
        if "requests" not in said:
            continue
        asked, times = said["requests"], said.get("latency_s", {})
        rows.append(
            (
                _text(name),
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
    return _table(head, rows, align="lrrrrrrrr")


def _faults(faults: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            _text(one["name"]),
            _text(one["fault"]),
            {True: "yes", False: "no", None: "not known"}[one["took_effect"]],
            duration(one["detected_s"]) if one["detected_s"] is not None else "not felt",
            "not recovered" if one["recovered"] is False else duration(one["recovery_s"]),
        )
        for one in faults
    ]
    return _table(("fault", "kind", "took effect", "detected after", "recovered in"), rows, align="lllrr")


def _phases(phases: list[dict[str, Any]]) -> list[str]:
    skipped = [one for one in phases if one["verdict"] is None]
    lines = [f"- {_text(one['name'])} was skipped: {_text(one['skipped_because'])}" for one in skipped]
    return [*lines, ""] if lines else []


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, align: str) -> list[str]:
    if not rows:
        return []
    ruler = ["--:" if side == "r" else "---" for side in align]
    return [f"| {' | '.join(row)} |" for row in (head, tuple(ruler), *rows)] + [""]


def _text(text: str) -> str:
    """A text on one line, with everything escaped that Markdown or HTML would read."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"
