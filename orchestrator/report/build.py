"""An ended campaign -> report.json (DESIGN.md section 6): every number that the other reports show."""

import json
import shlex
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

from orchestrator.report.activity import activity_section
from orchestrator.report.endpoints import endpoint_sections
from orchestrator.report.faults import fault_sections
from orchestrator.report.fleet import fleet_sections, refusal_sections
from orchestrator.report.gameday import gameday_section
from orchestrator.report.masking import masked_set, masked_text
from orchestrator.report.objectives import objective_sections
from orchestrator.report.quantities import finite
from orchestrator.report.requests import samples_section
from orchestrator.report.resilience import resilience_section
from orchestrator.report.timeline import timeline_section
from orchestrator.results.outcome import Outcome

SCHEMA = 1
VERSION = version("shakeout")
"""Of this process, read once: an upgrade in place changes what is installed, not what runs."""


def build_report(outcome: Outcome) -> dict[str, Any]:
    """The report of an ended campaign as strict JSON: no NaN; times in seconds, moments since 1970."""
    report = {
        "schema": SCHEMA,
        "campaign": _campaign(outcome),
        "verdict": outcome.verdict.verdict,
        "reasons": list(outcome.verdict.reasons),
        "exit_code": outcome.verdict.exit_code,
        "activities": _activities(outcome),
        "endpoints": endpoint_sections(outcome),
        "phases": _phases(outcome),
        "slos": objective_sections(outcome),
        "faults": [] if _rehearsed(outcome) else fault_sections(outcome),
        "fleet": fleet_sections(outcome),
        "refusals": refusal_sections(outcome),
        "notes": [
            {"at": one.at_s, "by": one.by, "key": one.key, "text": one.text} for one in outcome.state.notes
        ],
        "reproduce": _reproduce(outcome),
    }
    report["timeline"] = timeline_section(outcome)
    resilience = resilience_section(outcome, report)
    if resilience is not None:
        report["resilience"] = resilience
    day = gameday_section(outcome, report)
    if day is not None:
        report["gameday"] = day
    if outcome.flower:
        report["flower"] = outcome.flower
    whole: dict[str, Any] = finite(report)
    return whole


def validate_report(report: dict[str, Any]) -> None:
    """Hold a report against the shipped JSON Schema. Raises jsonschema.ValidationError."""
    _validator().validate(report)


def report_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of report.json."""
    schema: dict[str, Any] = json.loads(
        files("orchestrator.report").joinpath("schema.json").read_text("utf-8")
    )
    return schema


@cache
def _validator() -> Draft202012Validator:
    schema = report_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


WAITED_S = 1.0
"""A leader that is busy, or away for a moment, is no queue."""


def _campaign(outcome: Outcome) -> dict[str, Any]:
    submitted, aborting = outcome.state.submitted, outcome.state.aborting
    return {
        "id": outcome.id,
        "name": outcome.campaign.campaign,
        "description": outcome.campaign.description,
        "seed": outcome.plan.seed,
        "started": _moment(outcome.started_s),
        "ended": _moment(outcome.ended_s),
        "duration_s": round(max(0.0, outcome.ended_s - outcome.started_s), 3),
        "submitted_by": submitted.by if submitted is not None else "",
        "submitted_key": _submitted_key(outcome),
        "labels": dict(submitted.labels) if submitted is not None else {},
        "aborted_by": aborting.by if aborting is not None else None,
        "aborted_key": aborting.key if aborting is not None else "",
        **_waited(outcome),
    }


def _rehearsed(outcome: Outcome) -> bool:
    return outcome.campaign.gameday is not None and outcome.campaign.gameday.tabletop


def _submitted_key(outcome: Outcome) -> str:
    """Whose key submitted it; of a scheduled one whose key added the schedule."""
    submitted, accepted = outcome.state.submitted, outcome.state.accepted
    if submitted is not None and submitted.schedule_key:
        return submitted.schedule_key
    return accepted.key if accepted is not None else ""


def _waited(outcome: Outcome) -> dict[str, float]:
    """How much of its time it stood in the queue; nothing where its turn came at once."""
    begun = [phase.opened_s for phase in outcome.state.phases.values() if phase.opened_s is not None]
    waited_s = min(begun, default=outcome.ended_s) - outcome.started_s
    return {"waited_s": round(waited_s, 3)} if waited_s >= WAITED_S else {}


def _moment(common_s: float) -> str:
    """A time of the common clock as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(common_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _activities(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for phase in outcome.phases:
        measured = {one.plan.key: one for one in phase.measured}
        for said in phase.activities:
            plan = outcome.plan.activity(said.activity)
            one = measured.get(plan.key)
            section = activity_section(plan, said, one, outcome)
            found[plan.key] = section | (samples_section(one, outcome) if one is not None else {})
    return found


def _phases(outcome: Outcome) -> list[dict[str, Any]]:
    found = []
    for phase in outcome.phases:
        so_far = outcome.state.phases.get(phase.phase)
        start_s = so_far.start_s if so_far is not None else None
        end_s = so_far.ended_s if so_far is not None else None
        found.append(
            {
                "name": phase.phase,
                "verdict": phase.verdict.verdict,
                "reasons": list(phase.verdict.reasons),
                "skipped_because": phase.verdict.skipped_because,
                "started": _moment(start_s) if start_s is not None else None,
                "ended": _moment(end_s) if end_s is not None else None,
                "duration_s": round(end_s - start_s, 3)
                if start_s is not None and end_s is not None
                else None,
                "activities": [one.activity for one in phase.activities],
            }
        )
    return found


def _reproduce(outcome: Outcome) -> dict[str, Any]:
    """What it takes to run the same again: the file, the values set over it, the seed and the version."""
    submitted = outcome.state.submitted
    given = submitted.sets if submitted is not None else ()
    sets = [masked_set(one, outcome.campaign) for one in given]
    with_seed = sets if outcome.campaign.seed is not None else [*sets, f"seed={outcome.plan.seed}"]
    words = ["shakeout", "run", "campaign.yaml", *(word for one in with_seed for word in ("--set", one))]
    return {
        "command": shlex.join(words),
        "seed": outcome.plan.seed,
        "sets": sets,
        "version": VERSION,
        "campaign_file": masked_text(submitted.text, outcome.campaign) if submitted is not None else "",
        "files": {
            path: {"sha256": sha256, "size_bytes": size}
            for path, (sha256, size) in (submitted.files if submitted is not None else {}).items()
        },
    }
