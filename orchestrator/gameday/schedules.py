"""Schedules as people say them and leaders keep them: signed words in a stream, and what came of each run.

A schedule is what `submit` would send, with the times at which a leader is to send it. All words stand in one
stream in Redis (`names.SCHEDULES`), each signed by who said it and good for an hour on its way in; what holds
is their fold. What became of each run stands in another (`names.SCHEDULE_LOG`), sealed by the leader.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from orchestrator.gameday.cron import Cron
from workers.contract.decoding import guarded
from workers.contract.files.traces import Trace
from workers.contract.signed.signing import Keys, SignatureError, check, check_seal, seal, sign
from workers.contract.signed.trust import WORD_COUNTS_S

MOST_SCHEDULES: Final = 200
"""Each is looked at twice a second by the leader."""


class Added(msgspec.Struct, frozen=True, kw_only=True, tag_field="word", tag="added", omit_defaults=True):
    """A campaign to be submitted again and again; `text` to `max_time_s` as in `Submitted`.

    `cron`: five fields, in `timezone`; each run begins up to `jitter_s` later. `key`: filled in by a reader.
    """

    name: str
    cron: str
    timezone: str
    text: str
    by: str
    at_s: float
    jitter_s: float = 0.0
    seed: int = 0
    sets: tuple[str, ...] = ()
    files: dict[str, tuple[str, int]] = {}
    cases: dict[str, int] = {}
    traces: dict[str, Trace] = {}
    labels: dict[str, str] = {}
    max_time_s: float = 0.0
    key: str = ""
    signature: str = ""

    @property
    def times(self) -> Cron:
        """When it is due."""
        return Cron(self.name, self.cron, self.timezone, self.jitter_s, self.seed)


class Changed(msgspec.Struct, frozen=True, kw_only=True, tag_field="word", tag="changed", omit_defaults=True):
    """A schedule rests, goes on, or is no more; `key` as in `Added`."""

    name: str
    to: Literal["paused", "resumed", "removed"]
    by: str
    at_s: float
    why: str = ""
    key: str = ""
    signature: str = ""


ScheduleWord = Added | Changed
encode_word = msgspec.json.Encoder().encode
decode_word = guarded(msgspec.json.Decoder(ScheduleWord).decode)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a leader did about a schedule: believed a word of it or not, began a run, refused or missed it.

    `id`: the same for the same thing, whoever leads. `due_s`: of the run; of several missed ones the last,
    `first_s` the first and `count` how many. `campaign`: the run's id. `word`: entry id of the word,
    `key`: whose it was.
    """

    at_s: float
    id: str
    schedule: str
    what: Literal["taken", "doubted", "fired", "refused", "missed"]
    due_s: float = 0.0
    first_s: float = 0.0
    count: int = 0
    campaign: str = ""
    why: str = ""
    word: str = ""
    key: str = ""
    signature: str = ""


encode_outcome = msgspec.json.Encoder().encode
decode_outcome = guarded(msgspec.json.Decoder(Outcome).decode)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it stands. `since_s`: runs due before that moment do not count."""

    added: Added
    since_s: float
    paused: Changed | None = None


Table = Mapping[str, Schedule]


def heard(table: Table, word: ScheduleWord) -> dict[str, Schedule]:
    """The table after one more word; one about a schedule that is not there changes nothing."""
    known = dict(table)
    if isinstance(word, Added):
        if word.name in known or len(known) < MOST_SCHEDULES:
            known[word.name] = Schedule(word, word.at_s)
        return known
    found = known.get(word.name)
    if found is None or word.at_s < found.added.at_s:
        return known
    if word.to == "removed":
        del known[word.name]
    elif word.to == "paused":
        known[word.name] = replace(found, paused=word)
    elif found.paused is not None:
        known[word.name] = replace(found, paused=None, since_s=max(found.since_s, word.at_s))
    return known


def why_not(table: Table, word: ScheduleWord) -> str:
    """Why a word cannot be, held against what there is: for whoever says it."""
    if isinstance(word, Added):
        full = word.name not in table and len(table) >= MOST_SCHEDULES
        return f"there are {MOST_SCHEDULES} schedules already: remove some" if full else ""
    if word.name not in table:
        names = ", ".join(table) or "none at all"
        return f"there is no schedule {word.name!r}; there are: {names}"
    return ""


def sign_word(word: ScheduleWord, *, keys: Keys) -> ScheduleWord:
    """The word with its signature; unchanged but for "" without a key."""
    expires_s = word.at_s + WORD_COUNTS_S
    token = sign(_body(word), purpose="schedule", keys=keys, at_s=word.at_s, expires_s=expires_s)
    return msgspec.structs.replace(word, signature=token)


def believed(word: ScheduleWord, *, keys: Keys, came_s: float) -> ScheduleWord:
    """The word with whose key it was; `came_s`: when it came into the stream. Raises SignatureError."""
    signed = check(word.signature, _body(word), purpose="schedule", keys=keys, now_s=came_s)
    if keys.keys and signed.at_s != word.at_s:
        raise SignatureError("the schedule says another time than its signature")
    return msgspec.structs.replace(word, key=signed.key)


def sealed(outcome: Outcome, keys: Keys) -> Outcome:
    """The outcome with the leader's seal."""
    return msgspec.structs.replace(outcome, signature=seal(_sealed_body(outcome), purpose="audit", keys=keys))


def vouched_for(outcome: Outcome, keys: Keys) -> str:
    """The key that sealed an outcome. Raises SignatureError where it is none of these, or was altered."""
    return check_seal(outcome.signature, _sealed_body(outcome), purpose="audit", keys=keys)


def _body(word: ScheduleWord) -> bytes:
    bare = msgspec.structs.replace(word, signature="", key="")
    return msgspec.json.encode(bare, order="deterministic")


def _sealed_body(outcome: Outcome) -> bytes:
    bare = msgspec.structs.replace(outcome, signature="")
    return b"schedule\n" + msgspec.json.encode(bare, order="deterministic")
