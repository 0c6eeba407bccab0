"""The timeline in report.json: what happened when, and who said so; faults, alerts, people and breaches."""

from collections.abc import Iterator
from typing import Any

from orchestrator.report.formats import duration
from orchestrator.report.journal_words import words_of
from orchestrator.results.outcome import Outcome
from orchestrator.slo.breaches import Breach, breaches
from workers.contract import facts as f

MOST_ROWS = 2_000
"""A night that loses workers all the time has more; the journal has all."""
MOST_BREACHES = 100
"""Begins and ends of them; an objective that is at its bound all night is broken again and again."""
Row = dict[str, Any]


def timeline_section(outcome: Outcome) -> list[Row]:
    """Rows in the order of time: `at` (common time), `after_s` since the start, `tone`, `text`, `by`, `key`.

    A fact that came late stands where it belongs; breaches of objectives stand where the traffic shows them.
    """
    told = [*_facts(outcome)]
    rows = told[:MOST_ROWS]
    if len(told) > MOST_ROWS:
        more = f"{len(told) - MOST_ROWS:,} later facts are not told here; journal.jsonl has all"
        rows.append({**rows[-1], "tone": "plain", "text": more, "by": "", "key": ""})
    return sorted([*rows, *_breaches(outcome)], key=lambda row: float(row["at"]))


def _facts(outcome: Outcome) -> Iterator[Row]:
    at_s = outcome.started_s
    for entry in outcome.journal:
        said = words_of(entry.fact, outcome.state.attempts)
        if said is not None:
            tone, text = said
            at_s = when(entry.fact) or at_s
            row = _row(at_s, tone, text, outcome)
            yield {**row, "by": getattr(entry.fact, "by", ""), "key": getattr(entry.fact, "key", "")}


def _breaches(outcome: Outcome) -> list[Row]:
    """The begin and the end of each breach of an objective."""
    rows: list[Row] = []
    for phase in (one for one in outcome.phases if one.measured):  # which only one that began has
        start_s = outcome.state.phases[phase.phase].start_s or 0.0
        for one in phase.measured:
            standing = (*one.evidence.slos, *(outcome.campaign.slos if one.plan.is_load else ()))
            for breach in (each for slo in standing for each in breaches(slo, one.evidence)):
                rows += [_row(start_s + at_s, tone, text, outcome) for at_s, tone, text in _words(breach)]
    rows.sort(key=lambda row: float(row["at"]))
    if len(rows) > MOST_BREACHES:
        more = f"{len(rows) - MOST_BREACHES:,} later begins and ends of breaches are not told here"
        rows[MOST_BREACHES:] = [{**rows[MOST_BREACHES], "tone": "plain", "text": more}]
    return rows


def _words(breach: Breach) -> Iterator[tuple[float, str, str]]:
    what = f"{breach.slo} on {breach.activity}"
    if breach.ended_s is None:
        yield breach.began_s, "bad", f"{what} is broken for all that is due from here on: {breach.why}"
        return
    lasted = duration(breach.ended_s - breach.began_s)
    yield breach.began_s, "bad", f"{what} is broken for what is due in the next {lasted}: {breach.why}"
    yield breach.ended_s, "good", f"{what} holds again for what is due from here on"


def _row(at_s: float, tone: str, text: str, outcome: Outcome) -> Row:
    after_s = round(at_s - outcome.started_s, 3)
    return {"at": at_s, "after_s": after_s, "tone": tone, "text": text, "by": "", "key": ""}


def when(fact: f.Fact) -> float:
    """When it happened: an alert when it began to fire, all else when it was said."""
    if isinstance(fact, f.AlertSeen):
        happened_s = fact.ended_s if fact.state == "resolved" else fact.fired_s
        return happened_s or fact.at_s
    return fact.at_s
