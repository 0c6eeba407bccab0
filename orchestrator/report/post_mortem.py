"""The post-mortem of a game day, from report.json alone: one story, told in Markdown and as a page."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any, Final

from markupsafe import Markup

from orchestrator.gameday.persons import holder
from orchestrator.report.formats import ABSENT, clock, duration, moment, share, significant
from orchestrator.report.html import policy
from orchestrator.report.lessons import acted_beside, earlier, felt_after
from orchestrator.report.pages import source, template
from orchestrator.report.post_mortem_markdown import WORDS, post_mortem_markdown
from orchestrator.report.resilience import resilience_words

MOST_ROWS: Final = 300
"""Rows of the timeline in a post-mortem; report.json has more."""
MOST_CHARACTERS: Final = 200
"""Of each; a person's note may be longer, and has its place in report.json."""
_MEANING: Final[Mapping[str, str]] = {
    "pass": "Everything that was expected of the target held.",
    "fail": "The target did not do what was expected of it.",
    "inconclusive": "There is too little data for a claim.",
    "invalid": "The game day, not the target, was at fault: nothing can be claimed.",
}
_STOPPED: Final = "It was stopped before anything could be claimed."
_TABLETOP: Final = "A rehearsal at the table: nothing was sent or injected."
_BACK: Final = {False: "not recovered", None: "cannot be said"}
_STATES: Final[Mapping[str, str]] = {
    "approved": "approved", "denied": "denied", "late": "nobody in time", "open": "not reached",
}  # fmt: skip


def post_mortem(report: Mapping[str, Any]) -> dict[str, str]:
    """The files of a post-mortem by name; none for a campaign that is no game day."""
    if "gameday" not in report:
        return {}
    story = _story(report)
    return {
        "post-mortem.md": post_mortem_markdown(
            report, story, budget=budget_note(report["gameday"]["budget"])
        ),
        "post-mortem.html": _page(report, story),
    }


def _story(report: Mapping[str, Any]) -> dict[str, Any]:
    """What both forms tell, in words; text that others wrote is not escaped here."""
    day, campaign = report["gameday"], report["campaign"]
    return {
        "verdict": report["verdict"],
        "meaning": _meaning(report),
        "when": f"{moment(campaign['started'])}, {duration(campaign['duration_s'])} long",
        "who": campaign["submitted_by"] + (f", schedule {day['schedule']}" if day["schedule"] else ""),
        "tiles": tuple(_tiles(report)),
        "faults": tuple(
            _fault(one, then, beside=acted_beside(one, report))
            for one, then in zip(day["faults"], earlier(day), strict=True)
        ),
        "last": _last(day),
        "resilience": resilience_words(report),
        "approvals": tuple(_approval(one) for one in day["approvals"]),
        "runbook": tuple(_step(one) for one in day["runbook"]),
        "timeline": tuple(_row(one) for one in report["timeline"][:MOST_ROWS]),
        "more": max(0, len(report["timeline"]) - MOST_ROWS),
    }


def _meaning(report: Mapping[str, Any]) -> str:
    """What the verdict says, in a sentence."""
    if report["gameday"]["tabletop"]:
        return _TABLETOP
    stopped = report["campaign"]["aborted_by"] is not None and report["verdict"] == "invalid"
    return _STOPPED if stopped else _MEANING[report["verdict"]]


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the timeline; of long command lines report.json has the rest."""
    return {**one, "text": shorten(one["text"], MOST_CHARACTERS, placeholder=" ...")}


def _tiles(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    day = report["gameday"]
    faults, missed = day["faults"], day["not_run"]
    if day["tabletop"]:
        yield "Faults told", f"{len(day['posed'])}"
        return
    yield "Faults run", f"{len(faults)} of {len(faults) + len(missed)}"
    claims = [one for one in report["slos"] if one["place"] != "abort_if"]
    yield "Claims held", f"{sum(one['verdict'] == 'pass' for one in claims)} of {len(claims)}"
    for label, key in (("Longest TTD", "ttd_s"), ("Longest TTM", "ttm_s"), ("Longest TTR", "ttr_s")):
        known = [one[key] for one in faults if one[key] is not None]
        never = sum(_missed(one, key) for one in faults)
        parts = [duration(max(known))] if known else []
        yield label, ", ".join([*parts, *([f"{never} never"] if never else [])]) or ABSENT
    yield "Budget burned", _burned(day["budget"])


def _missed(fault: Mapping[str, Any], key: str) -> bool:
    """Whether a time should have come and never did: what was not felt need not be noticed or recovered."""
    if key == "ttr_s":
        return fault["recovered"] is False
    return fault[key] is None and fault["felt_s"] is not None


def _burned(budget: Mapping[str, Any] | None) -> str:
    if budget is None:
        return ABSENT
    burned = f"{significant(budget['burned_min'])} min"
    allowed = budget["allowed_min_30d"]
    if not allowed:
        return burned
    return f"{burned} of {significant(allowed)}"


def budget_note(budget: Mapping[str, Any] | None) -> str:
    """What the faults burned of what an objective leaves, in words; "" where there is no objective."""
    if budget is None or not budget["allowed_min_30d"]:
        return ""
    part = share(budget["burned_min"] / budget["allowed_min_30d"])
    return (
        f"{budget['slo']} leaves {significant(budget['allowed_min_30d'])} minutes of full outage in 30 days; "
        f"this game day burned {significant(budget['burned_min'])} of them ({part})."
    )


def _fault(
    one: Mapping[str, Any], before: Mapping[str, Any] | None, *, beside: Sequence[str]
) -> dict[str, Any]:
    """A fault's row: each time with what it was last time."""

    def timed(key: str) -> str:
        last = before.get(key) if before is not None else None
        now = duration(one[key]) if one[key] is not None else "never" if _missed(one, key) else ABSENT
        return now + (f" (last {duration(last)})" if last is not None else "")

    unfelt = "not felt" if one["recovered"] is not None else "cannot be said"
    held = {True: "held", False: "did not hold", None: "cannot be said"}[one["held"]]
    return {
        "name": one["name"],
        "kind": f"{one['fault']} ({one['class']})" + (", hidden" if one["hidden"] else ""),
        "beside": "".join(f", beside {name}" for name in beside),
        "at": clock(one["injected"]),
        "held": held,
        "tone": {True: "pass", False: "fail", None: "inconclusive"}[one["held"]],
        "effect": {True: "took effect", False: "took no effect", None: "effect not known"}[
            one["took_effect"]
        ],
        "felt": felt_after(one["felt_s"]) if one["felt_s"] is not None else unfelt,
        "ttd": timed("ttd_s"),
        "ttd_by": one["detected_by"],
        "ttm": timed("ttm_s"),
        "ttm_by": one["mitigated_by"],
        "ttr": _BACK.get(one["recovered"], "")
        if one["ttr_s"] is None and one["felt_s"] is not None
        else timed("ttr_s"),
        "budget": f"{significant(one['budget_min'])} min" if one["budget_min"] is not None else ABSENT,
    }


def _last(day: Mapping[str, Any]) -> str:
    if not day["history"]:
        return "There is no earlier game day of this name to compare with."
    last = day["history"][-1]
    spent = f", {significant(last['budget_min'])} min of budget" if last["budget_min"] is not None else ""
    return f"Compared with {last['id']} ({moment(last['ended'])}, {last['verdict']}{spent})."


def _approval(one: Mapping[str, Any]) -> dict[str, str]:
    by = one["by"] + (f", key {one['key']}" if one["key"] else "")
    return {
        "phase": one["phase"],
        "of": holder(one["role"], one["address"]),
        "state": _STATES[one["state"]],
        "by": by,
        "at": f"{clock(one['at'])} UTC" if one["at"] is not None else "",
        "why": one["why"],
    }


def _step(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "step": one["step"],
        "text": one["text"],
        "command": one["command"],
        "role": one["role"],
        "done": f"{clock(one['done'])} UTC by {one['by']}" if one["done"] is not None else "not done",
        "note": one["note"],
    }


def _page(report: Mapping[str, Any], story: Mapping[str, Any]) -> str:
    page: str = template("post_mortem.html.j2").render(
        report=report,
        day=report["gameday"],
        story=story,
        budget=budget_note(report["gameday"]["budget"]),
        words=WORDS,
        style=Markup(source("page.css")),  # noqa: S704  # a file of this package
        policy=policy(""),
    )
    return page
