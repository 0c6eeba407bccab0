"""The post-mortem of a game day in Markdown: for a wiki, an issue, a pull request."""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.report.formats import clock
from orchestrator.report.markup import code, table, text

WORDS: Final = (
    (
        "TTD",
        "time to detect: from the injection to the first alert that fired unsilenced, or person who said so",
    ),
    ("TTM", "time to mitigate: to the first step of the runbook that was done, or the fault's end"),
    ("TTR", "time to recover: until the traffic was back for 5 s, with no more in flight than before"),
    (
        "Held",
        "what was expected of the target held and the traffic came back; of no expectation, the latter alone",
    ),
    ("Budget", "minutes of full outage that failed requests amount to, until the traffic had recovered"),
)
NOTHING: Final = "Nothing that the facts show."


def post_mortem_markdown(report: Mapping[str, Any], story: Mapping[str, Any], *, budget: str) -> str:
    """The story in GitHub's Markdown; text that others wrote is escaped and stays on its line."""
    day, campaign = report["gameday"], report["campaign"]
    actions = [f"[ ] {text(one)} (owner: , by: )" for one in day["actions"]]
    word = "REHEARSED" if day["tabletop"] else report["verdict"].upper()
    lines = [
        f"# Post-mortem: {text(campaign['name'])}", "",
        f"**{word}**. {story['meaning']} {story['when']}, by {text(story['who'])}.", "",
        *([f"> {text(campaign['description'])}", ""] if campaign["description"] else []),
        *(f"- {label}: {value}" for label, value in story["tiles"]), "",
        *([text(budget), ""] if budget else []),
        *_section("What went well", [text(one) for one in day["well"]], empty=NOTHING),
        *_section("What went badly", [text(one) for one in day["badly"]], empty=NOTHING),
        *_section("Action items", actions, empty="None."),
        *_fault_lines(day, story),
        *(_resilience_lines(story["resilience"]) if story["resilience"] else []),
        *_people_lines(day, story),
        *_timeline_lines(story),
        "## Words", "", *(f"- **{word}**: {means}" for word, means in WORDS), "",
        f"Run `{campaign['id']}`, Shakeout {report['reproduce']['version']}; times in UTC.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _section(title: str, items: list[str], *, empty: str) -> list[str]:
    return [f"## {title}", "", *([f"- {one}" for one in items] or [empty]), ""]


def _fault_lines(day: Mapping[str, Any], story: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            f"**{text(one['name'])}** {text(one['kind'] + one['beside'])}", one["at"],
            f"{one['effect']}, {one['held']}", one["felt"],
            _by(one["ttd"], one["ttd_by"]), _by(one["ttm"], one["ttm_by"]), one["ttr"], one["budget"],
        )
        for one in story["faults"]
    ]  # fmt: skip
    head = ("fault", "at", "result", "felt", "TTD", "TTM", "TTR", "budget")
    told = [f"- {clock(one['at'])} {text(one['activity'])}: {text(one['text'])}" for one in day["posed"]]
    missed = [f"- {text(one['name'])} ({text(one['fault'])}): {text(one['why'])}" for one in day["not_run"]]
    return [
        "## Faults", "", *table(head, rows, align="llllllll"), *told, *([""] if told else []),
        *(["Not run:", "", *missed, ""] if missed else []),
        *([] if day["tabletop"] else [story["last"], ""]),
    ]  # fmt: skip


def _by(time: str, who: str) -> str:
    return f"{time}, by {text(who)}" if who else time


def _resilience_lines(found: Mapping[str, Any]) -> list[str]:
    head = ("class of fault", "now", *map(text, found["runs"]))
    rows = [(text(one["name"]), one["now"], *one["past"]) for one in found["rows"]]
    return ["## Resilience", "", found["coverage"], "", *table(head, rows, align="l" * len(head))]


def _people_lines(day: Mapping[str, Any], story: Mapping[str, Any]) -> list[str]:
    asked = [
        (text(one["phase"]), text(one["of"]), one["state"], text(one["by"]), one["at"], text(one["why"]))
        for one in story["approvals"]
    ]
    steps = [
        (
            text(one["step"]), _what(one), text(one["role"]), text(one["done"]), text(one["note"]),
        )
        for one in story["runbook"]
    ]  # fmt: skip
    lines = ["## People", "", f"Window: {text(day['window'])}.", ""]
    lines += table(("phase", "asked of", "answer", "by", "at", ""), asked, align="llllll")
    lines += table(("step", "what", "role", "done", ""), steps, align="lllll")
    return lines


def _what(step: Mapping[str, str]) -> str:
    return " ".join(filter(None, (text(step["text"]), step["command"] and code(step["command"]))))


def _timeline_lines(story: Mapping[str, Any]) -> list[str]:
    rows = [f"- {clock(one['at'])} {text(one['text'])}" for one in story["timeline"]]
    more = [f"- and {story['more']} more in report.json"] if story["more"] else []
    return ["## Timeline", "", *rows, *more, ""]
