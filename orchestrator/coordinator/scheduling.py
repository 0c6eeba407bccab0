"""The leader's side of schedules: it hears what people say of them, and begins the runs that are due.

A run is begun once, whoever leads: its id follows from the schedule and the moment, its first fact is said
under a fixed id, and what came of it is kept under the run's own. A leader that dies in between is followed
by one that finds the campaign there, and only keeps that.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import redis

from orchestrator.campaign.load import load_campaign_text
from orchestrator.coordinator.admission import EVERYBODY, Trust
from orchestrator.coordinator.auditing import keep
from orchestrator.coordinator.beginning import files_gone, halted, needs, submit_run
from orchestrator.coordinator.campaign_run import CampaignRun
from orchestrator.coordinator.schedule_log import ScheduleLog, entry_s
from orchestrator.errors import ShakeoutError
from orchestrator.gameday.cron import Run, check_cron
from orchestrator.gameday.due import Missed, look, missed_words, next_s, run_id, run_seed
from orchestrator.gameday.schedules import (
    Added,
    Outcome,
    Schedule,
    ScheduleWord,
    believed,
    decode_word,
    heard,
    why_not,
)
from orchestrator.gameday.windows import refusal
from orchestrator.plan import plan_of
from orchestrator.results.audit import Audited
from orchestrator.results.results import Results
from orchestrator.store.entries import NotLeadingError
from orchestrator.store.store import Store
from orchestrator.submit.files import KEPT_S, prolong
from workers.contract.broker import names
from workers.contract.errors import ContractError
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import SignatureError
from workers.contract.signed.trust import WORD_COUNTS_S

AT_ONCE: Final = 200
"""Words a call: a campaign file may have 1 MiB."""
KEEP_EVERY_S: Final = 3600.0
REST_S: Final = 30.0
"""Between two tries at a schedule that breaks whoever begins it: less than a run may be late."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Scheduling:
    """What a leader knows of schedules; all of it is read again by the next one.

    `results`: where campaigns leave traces that outlive Redis. `log`: what came of words and runs. `next`:
    schedule -> when there is something to do about it. `bodies`: sha256 of each word that could be said again
    -> when it came. `words`: entries of all words; `stand`: schedule -> entries of those that make it up.
    """

    trust: Trust = field(default_factory=lambda: EVERYBODY)
    results: Results | None = None
    table: dict[str, Schedule] = field(default_factory=dict)
    next: dict[str, float] = field(default_factory=dict)
    bodies: dict[bytes, float] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    stand: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words_to: str = "0-0"
    kept_at: float = float("-inf")
    log: ScheduleLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = ScheduleLog(self.trust.keys)

    def look(self, store: Store, runs: Mapping[str, CampaignRun], halts: Halts) -> None:
        """Hear what is new, and begin what is due. Raises NotLeadingError, redis errors."""
        self.log.read(store)
        self._read_words(store)
        now_s = store.now_s()
        for name, schedule in list(self.table.items()):
            if now_s < self.next.get(name, 0.0):
                continue
            try:
                self._one(schedule, store, runs, halts, now_s)
                self.next[name] = next_s(schedule, done_s=self.log.done_s(name))
            except (NotLeadingError, redis.RedisError):
                raise
            except Exception:  # one that breaks must not hold up the fleet
                log.exception("schedule %s", name)
                self.next[name] = now_s + REST_S
        if time.monotonic() - self.kept_at >= KEEP_EVERY_S:
            self.kept_at = time.monotonic()
            for schedule in self.table.values():
                prolong(store.client, needs(schedule.added), for_s=KEPT_S)
            self._trim(store, now_s)

    def _trim(self, store: Store, now_s: float) -> None:
        """Let go of words that say nothing any more, and are too old to be put back."""
        before_s = now_s - 2 * WORD_COUNTS_S
        stands = {entry for entries in self.stand.values() for entry in entries}
        spent = sorted(entry for entry in self.words - stands if entry_s(entry) < before_s)
        for place in range(0, len(spent), AT_ONCE):
            store.client.xdel(names.SCHEDULES, *spent[place : place + AT_ONCE])
        self.words.difference_update(spent)
        self.bodies = {body: at_s for body, at_s in self.bodies.items() if at_s >= before_s}

    # reading

    def _read_words(self, store: Store) -> None:
        while True:
            page = store.client.xrange(names.SCHEDULES, min=f"({self.words_to}", count=AT_ONCE)
            for id_, fields in page:
                self._hear(store, id_.decode(), fields.get(b"s", b""))
                self.words_to = id_.decode()  # only now: what breaks here is looked at again
            if len(page) < AT_ONCE:
                return

    def _hear(self, store: Store, entry: str, body: bytes) -> None:
        """Take one word in, and tell whether it counts."""
        at_s, digest = entry_s(entry), hashlib.sha256(body).digest()
        word: ScheduleWord | None = None
        try:
            word = believed(decode_word(body), keys=self.trust.people, came_s=at_s)
            replayed = "it was replayed: the same was said before" if digest in self.bodies else ""
            why = replayed or why_not(self.table, word) or _unusable(word)
        except (msgspec.DecodeError, SignatureError) as error:
            why = str(error)
        name = word.name if word is not None else "?"
        outcome = Outcome(
            at_s=at_s,
            id=f"word:{entry}",
            schedule=name,
            what="doubted" if why else "taken",
            why=why,
            word=entry,
            key=word.key if word is not None else "",
        )
        if word is not None and not why:
            self.table = heard(self.table, word)
            self.next.pop(word.name, None)
            self._make_up(word, entry)
            if isinstance(word, Added):
                self.kept_at = float("-inf")
            self._audit(store, word, entry)
        self.log.keep(store, outcome)
        self.bodies[digest] = at_s
        self.words.add(entry)

    def _make_up(self, word: ScheduleWord, entry: str) -> None:
        """Which words make up a schedule after one more: what it is, how its last rest began and ended."""
        name = word.name
        if name not in self.table:
            self.stand.pop(name, None)
        elif isinstance(word, Added):
            self.stand[name] = (entry,)
        elif word.at_s >= self.table[name].added.at_s:
            self.stand[name] = (*self.stand[name][: 1 if word.to == "paused" else 2], entry)

    def _audit(self, store: Store, word: ScheduleWord, entry: str) -> None:
        what = "scheduled" if isinstance(word, Added) else word.to
        why = f"{word.cron} {word.timezone}" if isinstance(word, Added) else word.why
        on, id_ = f"schedule {word.name}", f"schedule:{entry}"
        said = Audited(at_s=word.at_s, what=what, id=id_, on=on, by=word.by, key=word.key, why=why)
        keep(store, said, keys=self.trust.keys)

    # beginning

    def _one(
        self, schedule: Schedule, store: Store, runs: Mapping[str, CampaignRun], halts: Halts, now_s: float
    ) -> None:
        name = schedule.added.name
        missed, begin = look(schedule, done_s=self.log.done_s(name), now_s=now_s)
        if missed is not None:
            self.log.keep(store, _missed(name, missed, now_s))
        for run in begin:
            self._begin(schedule, run, store, runs, halts, now_s)

    def _begin(
        self,
        schedule: Schedule,
        run: Run,
        store: Store,
        runs: Mapping[str, CampaignRun],
        halts: Halts,
        now_s: float,
    ) -> None:
        """Submit the campaign of a run, or say why not; once, whoever leads."""
        added = schedule.added
        try:
            loaded = load_campaign_text(added.text, base=None, sets=added.sets)
            id_ = run_id(schedule, run, campaign=loaded.campaign.campaign)
            why = ""
            if not store.client.exists(names.journal(id_)) and not store.is_finished(id_):
                seed = loaded.campaign.seed if loaded.campaign.seed is not None else run_seed(schedule, run)
                plan = plan_of(loaded.campaign, seed=seed, traces=added.traces)
                why = (
                    self._overlap(schedule, store, runs)
                    or refusal(loaded.campaign.gameday, plan, now_s=now_s)
                    or halted(halts)
                    or files_gone(store, added)
                    or self._lost(id_)
                )
                if not why:
                    submit_run(schedule, run, id_, seed=seed, store=store, trust=self.trust, now_s=now_s)
            elif not store.is_finished(id_):
                store.client.zadd(names.CAMPAIGNS, {id_: now_s}, nx=True)
        except (ShakeoutError, ContractError) as error:
            id_, why = "", str(error)
        outcome = Outcome(
            at_s=now_s, id=f"run:{added.name}:{run.due_s:.0f}", schedule=added.name, due_s=run.due_s,
            what="refused" if why else "fired", campaign="" if why else id_, why=why,
        )  # fmt: skip
        self.log.keep(store, outcome)
        if why:
            about = f"schedule {added.name}"
            said = Audited(at_s=now_s, what="refused", id=outcome.id, on=about, by=added.by, why=why)
            keep(store, said, keys=self.trust.keys)

    def _lost(self, id_: str) -> str:
        """Why a run of which Redis knows nothing is not begun: it was, and Redis has lost it."""
        if self.results is None or self.results.folder is not None or not self.results.has_begun(id_):
            return ""
        return f"it began, and Redis lost it: what it left stands in {self.results.place(id_)}"

    def _overlap(self, schedule: Schedule, store: Store, runs: Mapping[str, CampaignRun]) -> str:
        name = schedule.added.name
        live = set(store.campaigns())
        going = {
            id_ for id_, one in runs.items() if one.submitted.schedule == name and one.state.ended is None
        }
        before = going | ({self.log.last[name]} if name in self.log.last else set())
        still = sorted(before & live)
        return f"the last run still goes: {still[0]}" if still else ""


def _missed(name: str, missed: Missed, now_s: float) -> Outcome:
    return Outcome(
        at_s=now_s, id=f"missed:{name}:{missed.last_s:.0f}", schedule=name, what="missed",
        due_s=missed.last_s, first_s=missed.first_s, count=missed.count, why=missed_words(missed),
    )  # fmt: skip


def _unusable(word: ScheduleWord) -> str:
    """Why a leader cannot use a schedule that is signed: its times or its campaign cannot be read."""
    if not isinstance(word, Added):
        return ""
    try:
        check_cron(word.times, now_s=word.at_s)
        load_campaign_text(word.text, base=None, sets=word.sets)
    except ShakeoutError as error:
        return str(error)
    return ""
