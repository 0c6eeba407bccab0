"""A fleet's schedules as people are shown them: whose, when next, and what came of the last run."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import msgspec

from orchestrator.campaign.load import load_campaign_text
from orchestrator.errors import ShakeoutError
from orchestrator.gameday.cron import runs
from orchestrator.gameday.schedules import (
    Outcome,
    Schedule,
    ScheduleWord,
    decode_outcome,
    decode_word,
    heard,
    vouched_for,
)
from orchestrator.gameday.windows import refusal
from orchestrator.plan import plan_of
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.signed.signing import Keys, SignatureError, key_id

NEXT = 3
PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """A run to come, common time; `why_not`: why it will be refused, as far as that is known now."""

    at_s: float
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleLine:
    """The keys of `schedule list --json`. `missed`: runs that were due while nobody led.

    `last`: what came of the newest run that was due, with `last_why` and the campaign. `doubt`: what
    of it was altered after one of this command's own keys had sealed it, "" else.
    """

    name: str
    campaign: str
    cron: str
    timezone: str
    jitter_s: float
    by: str
    key: str
    added_s: float
    paused_by: str
    paused_key: str
    paused_why: str
    next: tuple[NextRun, ...]
    fired: int
    refused: int
    missed: int
    last: str
    last_due_s: float
    last_campaign: str
    last_why: str
    doubt: str


def read_words(store: Store) -> Iterator[tuple[str, ScheduleWord]]:
    """All words that this version can read, with their entries, in order."""
    last = "0-0"
    while True:
        page = store.client.xrange(names.SCHEDULES, min=f"({last}", count=PAGE)
        for id_, fields in page:
            last = id_.decode()
            with suppress(msgspec.DecodeError):
                yield last, decode_word(fields.get(b"s", b""))
        if len(page) < PAGE:
            return


def read_outcomes(store: Store) -> Iterator[Outcome]:
    """What leaders kept of words and runs, in order."""
    last = "0-0"
    while True:
        page = store.client.xrange(names.SCHEDULE_LOG, min=f"({last}", count=PAGE)
        for id_, fields in page:
            last = id_.decode()
            with suppress(msgspec.DecodeError):
                yield decode_outcome(fields.get(b"a", b""))
        if len(page) < PAGE:
            return


def schedules(store: Store) -> tuple[dict[str, Schedule], tuple[Outcome, ...]]:
    """The schedules of which no leader has said that they do not count, and all outcomes."""
    outcomes = tuple(read_outcomes(store))
    doubted = {one.word for one in outcomes if one.what == "doubted"}
    signed = {one.word: one.key for one in outcomes if one.what == "taken"}
    table: dict[str, Schedule] = {}
    for entry, word in read_words(store):
        if entry not in doubted:
            # whose key it was the leader says: ours cannot check others' signatures
            table = heard(table, msgspec.structs.replace(word, key=signed.get(entry, "")))
    return table, outcomes


def schedule_lines(store: Store, keys: Keys) -> tuple[ScheduleLine, ...]:
    """Every schedule, by name."""
    table, outcomes = schedules(store)
    now_s = store.now_s()
    return tuple(
        _line(one, [said for said in outcomes if said.schedule == name], keys, now_s)
        for name, one in sorted(table.items())
    )


def next_runs(schedule: Schedule, *, now_s: float, count: int = NEXT) -> tuple[NextRun, ...]:
    """Its next runs, each with why it will be refused where that can be seen now; none while it rests."""
    if schedule.paused is not None:
        return ()
    added = schedule.added
    found = islice(runs(added.times, after_s=now_s), count)
    try:
        campaign = load_campaign_text(added.text, base=None, sets=added.sets).campaign
        plan = plan_of(campaign, seed=campaign.seed or 0, traces=added.traces)
    except ShakeoutError as error:
        return tuple(NextRun(at_s=one.at_s, why_not=str(error)) for one in found)
    return tuple(
        NextRun(at_s=one.at_s, why_not=refusal(campaign.gameday, plan, now_s=one.at_s)) for one in found
    )


def _line(schedule: Schedule, said: list[Outcome], keys: Keys, now_s: float) -> ScheduleLine:
    added, paused = schedule.added, schedule.paused
    done = [one for one in said if one.what in ("fired", "refused", "missed") and one.due_s >= added.at_s]
    last = max(done, key=lambda one: one.due_s, default=None)
    doubt = ""
    for one in said:
        try:
            vouched_for(one, keys)
        except SignatureError as error:
            # nothing speaks against a seal by a key that we do not have, nor for it
            doubt = str(error) if key_id(one.signature) in {key.id for key in keys.keys} else doubt
    campaign = ""
    with suppress(ShakeoutError):
        campaign = load_campaign_text(added.text, base=None, sets=added.sets).campaign.campaign
    return ScheduleLine(
        name=added.name,
        campaign=campaign,
        cron=added.cron,
        timezone=added.timezone,
        jitter_s=added.jitter_s,
        by=added.by,
        key=added.key,
        added_s=added.at_s,
        paused_by=paused.by if paused is not None else "",
        paused_key=paused.key if paused is not None else "",
        paused_why=paused.why if paused is not None else "",
        next=next_runs(schedule, now_s=now_s),
        fired=sum(one.what == "fired" for one in done),
        refused=sum(one.what == "refused" for one in done),
        missed=sum(one.count for one in done if one.what == "missed"),
        last=last.what if last is not None else "",
        last_due_s=last.due_s if last is not None else 0.0,
        last_campaign=last.campaign if last is not None else "",
        last_why=last.why if last is not None else "",
        doubt=doubt,
    )
