"""Whom a coordinator believes: may this campaign run at all, and does what a person said of it count? Pure.

Coordinators with the same keys judge a journal alike: what could depend on when it is read (a signature that
expires) is held against the time at which it came into the journal, or was accepted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from msgspec import structs

from orchestrator.campaign.models import Campaign
from orchestrator.errors import ShakeoutError
from orchestrator.facts import Gate, State
from orchestrator.gameday.roles import objection
from orchestrator.store.entries import Entry
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Press
from workers.contract.signed.signing import NO_KEYS, Keys, SignatureError, Signed, key_id
from workers.contract.signed.trust import (
    LAST,
    check_decision,
    check_fact,
    check_observation,
    fact_body,
    sign_decision,
    sign_fact,
    submission_sha256,
)

_AnyFact = TypeVar("_AnyFact", bound=f.Fact)
DAY_S: Final = 24 * 3600.0
ACCEPTED_COUNTS_S: Final = 30 * DAY_S
"""How long a campaign may take from its acceptance on.

When nothing is left in Redis or at the runs URL that tells of its end, who kept its first two facts could
have it run again.
"""
MOST_REFUSALS: Final = 100
"""Of one campaign: who writes more that does not count into a journal gets no more answers in it."""


class RefusedError(ShakeoutError):
    """The campaign is not to be run; says why, and `by` whom it seems to be."""

    def __init__(self, why: str, *, by: str = "") -> None:
        super().__init__(why)
        self.by = by


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts; without keys everybody's.

    `keys`: of the coordinators, which sign tasks. `people`: these and the submitters', for what people say.
    """

    keys: Keys = NO_KEYS
    people: Keys = NO_KEYS


EVERYBODY: Final = Trust()


def admit(
    id_: str, entries: Sequence[Entry], *, trust: Trust, over: bool, halted: Press | None, now_s: float
) -> Signed:
    """Who submitted this campaign. Raises RefusedError where it is not to be run.

    `over`: a campaign of this id has ended, or its report stands. `halted`: the halt that holds now; while it
    does no new one is taken.
    """
    said = entries[0].fact
    if not names.is_campaign_id(id_):
        raise RefusedError("its id cannot be the name of a folder", by=getattr(said, "by", ""))
    if not isinstance(said, f.Submitted):
        raise RefusedError("the journal does not begin with a submission")
    accepted = _accepted(id_, entries, trust)
    why = ""
    if said.campaign != id_:
        why = f"the submission is that of another campaign, {said.campaign}"
    elif accepted is not None and accepted.submission != submission_sha256(said, id_):
        why = "the submission was altered: it is not the one that was accepted"
    elif accepted is not None and now_s - accepted.at_s > ACCEPTED_COUNTS_S:
        days = (now_s - accepted.at_s) / DAY_S
        why = f"the submission was replayed: it was accepted {days:.0f} d ago, and no campaign takes so long"
    elif over:
        why = "the submission was replayed: this campaign is over; submit its file again"
    elif halted is not None and accepted is None:
        why = f"{halted.words()}; say `shakeout resume`, then submit it again"
    if why:
        raise RefusedError(why, by=said.by)
    try:
        signed_s = accepted.at_s if accepted is not None else now_s
        signed = check_fact(said, campaign=id_, keys=trust.people, now_s=signed_s)
    except SignatureError as error:
        raise RefusedError(str(error), by=said.by) from error
    unknown = _unknown_key(entries, trust) if accepted is None else ""
    if unknown:
        why = (
            f"it was accepted under the key {unknown}, which this coordinator does not know: what was decided"
        )
        raise RefusedError(f"{why} of it cannot be believed; submit it again", by=said.by)
    return signed


def acceptance(said: f.Submitted, signed: Signed, *, id_: str, trust: Trust, now_s: float) -> f.Accepted:
    """What the leader says first of a campaign that it runs."""
    fact = f.Accepted(key=signed.key, submission=submission_sha256(said, id_), at_s=now_s)
    return sign_fact(fact, campaign=id_, keys=trust.keys, now_s=now_s)


@dataclass(slots=True)
class Hearing:
    """What of one campaign's journal counts, and the numbers of its leaders' decisions.

    `heard`: what persons have said so far. `decided`: number of the last decision that counts. `unsaid`: id
    of a fact -> what is still to be said of what does not count. `campaign`: says who may approve, and
    `alone` that one person's fleet runs it, whose only key may.
    """

    id: str
    trust: Trust = field(default_factory=Trust)
    campaign: Campaign | None = None
    alone: bool = False
    heard: set[bytes] = field(default_factory=set)
    decided: int = 0
    unsaid: dict[str, f.Refused] = field(default_factory=dict)

    def signed(self, fact: _AnyFact, *, after: int = 0) -> _AnyFact:
        """A decision as it is to be appended; `after`: of so many that are appended in the same step."""
        if not isinstance(fact, DECISIONS):
            return fact
        number = self.decided + after + 1
        return sign_decision(fact, campaign=self.id, number=number, keys=self.trust.keys)

    def believed(self, entry: Entry, state: State) -> f.Fact | None:
        """The fact that is to be folded into `state`; None where it does not count, and `unsaid` has why.

        Raises RefusedError where decisions are missing before this one: what is left tells another story.
        """
        try:
            return self._believed(entry, state)
        except SignatureError as error:
            if len(state.refusals) + len(self.unsaid) < MOST_REFUSALS:
                self.unsaid[f"refused:{entry.id}"] = f.Refused(
                    what=_what(entry.fact),
                    by=getattr(entry.fact, "by", "") or getattr(entry.fact, "worker", ""),
                    why=str(error),
                    at_s=came_s(entry),
                )
            return None

    def _believed(self, entry: Entry, state: State) -> f.Fact:
        """Raise SignatureError where it does not count."""
        fact = entry.fact
        match fact:
            case f.Submitted():
                if state.submitted is not None:
                    raise SignatureError("the campaign was submitted before")
            case f.Accepted():
                check_fact(fact, campaign=self.id, keys=self.trust.keys, now_s=came_s(entry))
            case _ if isinstance(fact, f.WORDS):
                return self._heard(fact, state, came_s=came_s(entry))
            case _ if isinstance(fact, DECISIONS):
                self._count(fact, check_decision(fact, campaign=self.id, keys=self.trust.keys))
            case _:
                check_observation(fact, campaign=self.id, keys=self.trust.keys)
        return fact

    def _heard(self, word: f.Word, state: State, *, came_s: float) -> f.Word:
        """A person's word with whose key it was. Raises SignatureError where it does not count."""
        signed = check_fact(word, campaign=self.id, keys=self.trust.people, now_s=came_s)
        if self.campaign is not None:
            why = objection(word, self.campaign, key=signed.key, alone=self.alone)
            if not why and isinstance(word, f.Approved | f.Denied):
                why = _too_late(word.phase, state, came_s)
            if why:
                raise SignatureError(why)
        self._hear(fact_body(word, self.id))
        return structs.replace(word, key=signed.key)

    def _count(self, fact: f.Fact, number: int) -> None:
        """Take the number of a decision that a coordinator made."""
        if number == LAST:
            if self.trust.keys.keys and not isinstance(fact, f.Refused | f.Ended):
                raise SignatureError("the decision has no number")
            return
        if number <= self.decided:
            raise SignatureError(f"the decision was replayed: it is number {number}, and counted before")
        if number > self.decided + 1:
            missing = f"{self.decided + 1} to {number - 1}"
            raise RefusedError(f"the journal was altered: its decisions {missing} are missing")
        self.decided = number

    def _hear(self, body: bytes) -> None:
        """Not by the signature, which can be written in several ways."""
        if self.trust.people.keys and body in self.heard:
            raise SignatureError("it was replayed: the same was said before")
        self.heard.add(body)


def _too_late(phase: str, state: State, came_s: float) -> str:
    """Why an answer about a phase does not count any more; "" where it is in time."""
    gate = state.gates.get(phase, Gate())
    if phase in state.phases:
        by = f", approved by {gate.approved.by}" if gate.approved is not None else ""
        return f"phase {phase} has begun already{by}; `shakeout abort` stops it"
    until_s = gate.until_s
    if until_s is not None and came_s > until_s:
        return f"phase {phase} was waited for until {came_s - until_s:.0f} s before it was said"
    return ""


def came_s(entry: Entry) -> float:
    """When an entry came into the journal: Redis makes its id of the time."""
    return float(entry.id.split("-")[0]) / 1000


DECISIONS: Final = (
    f.Refused, f.PhaseOpened, f.PhaseSkipped, f.Placed, f.PhaseStarted, f.Resumed, f.Lost, f.HandedOver,
    f.FaultsWithheld, f.PhaseEnded, f.Aborting, f.Ended, f.ApprovalAsked, f.GateReached, f.Stationed, f.Posed,
    f.AnnounceFailed,
)  # fmt: skip
"""What only a leader says; it numbers them."""
_WHAT: Final[dict[type, str]] = {
    f.Submitted: "submission",
    f.Accepted: "acceptance",
    f.AbortAsked: "abort",
    f.Noted: "note",
    f.Observed: "note",
    f.Approved: "approval",
    f.Denied: "approval",
    f.StepDone: "step",
    f.Revealed: "reveal",
}


def _what(fact: f.Fact) -> str:
    return _WHAT.get(type(fact), "decision" if isinstance(fact, DECISIONS) else "observation")


def _unknown_key(entries: Sequence[Entry], trust: Trust) -> str:
    """The key of an acceptance by a coordinator with other keys: its decisions would be taken anew."""
    if not trust.keys.keys:
        return ""
    known = {key.id for key in trust.keys.keys}
    ids = (key_id(entry.fact.signature) for entry in entries if isinstance(entry.fact, f.Accepted))
    return next((id_ for id_ in ids if id_ and id_ not in known), "")


def _accepted(id_: str, entries: Sequence[Entry], trust: Trust) -> f.Accepted | None:
    """The first acceptance that a coordinator of this fleet has signed."""
    for entry in entries:
        if isinstance(entry.fact, f.Accepted):
            try:
                check_fact(entry.fact, campaign=id_, keys=trust.keys, now_s=came_s(entry))
            except SignatureError:
                continue
            return entry.fact
    return None
