"""The resilience score in report.json: by class of fault, with what is not known and how it was before."""

from collections.abc import Mapping
from typing import Any

from orchestrator.gameday.resilience import Tried, scores
from orchestrator.report.fault_times import fault_times
from orchestrator.results.outcome import Outcome


def resilience_section(outcome: Outcome, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Held of tried of planned faults, class by class; None where no fault was planned, or only rehearsed."""
    planned = [one for phase in outcome.plan.phases for one in phase.activities if one.kind == "chaos"]
    day = outcome.campaign.gameday
    if not planned or (day is not None and day.tabletop):
        return None
    done = fault_times(outcome, report)
    tried = [Tried(one.fault, one.held) for one in done]
    known = {(one.activity, one.step) for one in done}
    tried += [
        Tried(step.fault, None)
        for one in planned
        for number, step in enumerate(one.steps)
        if (one.key, number) not in known
    ]
    found = scores(tried)
    return {
        "classes": [
            {"class": one.name, "held": one.held, "tried": one.tried, "planned": one.planned} for one in found
        ],
        "coverage": {
            "classes_tried": sum(one.tried > 0 for one in found),
            "classes_known": len(found),
            "faults_tried": sum(one.tried for one in found),
            "faults_planned": sum(one.planned for one in found),
        },
        "history": [
            {"id": one["id"], "ended": one["ended"], "classes": one["resilience"]["classes"]}
            for one in outcome.history
        ],
    }


def resilience_words(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scores in words, a row a class; None where no fault was planned, or only rehearsed."""
    section = report.get("resilience")
    if section is None:
        return None
    return {
        "coverage": coverage_words(section["coverage"]),
        "rows": class_rows(section),
        "runs": [one["id"] for one in reversed(section["history"])],
    }


def score_words(one: Mapping[str, int]) -> str:
    """A class in words: never a number without what it is of."""
    if not one["planned"]:
        return "not tried"
    if not one["tried"]:
        return f"{one['planned']} planned, none judged"
    return f"{one['held']} of {one['tried']} held"


def coverage_words(coverage: Mapping[str, int]) -> str:
    """How much of what there is the score is of."""
    return (
        f"{coverage['faults_tried']} of {coverage['faults_planned']} planned faults could be judged, in "
        f"{coverage['classes_tried']} of the {coverage['classes_known']} classes that there are. Of the "
        "others nothing is known."
    )


def class_rows(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each class with its score now and in the runs of the history, the newest first, and a tone."""
    rows = []
    for one in section["classes"]:
        past = []
        for run in reversed(section["history"]):
            then = next((it for it in run["classes"] if it["class"] == one["class"]), None)
            past.append(score_words(then) if then is not None else "not tried")
        tone = "skipped" if not one["tried"] else "pass" if one["held"] == one["tried"] else "fail"
        rows.append({"name": one["class"], "now": score_words(one), "tone": tone, "past": tuple(past)})
    return rows
