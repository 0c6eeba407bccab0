"""Whom a coordinator believes: may this campaign run at all, and does what a person said of it count? Pure.

Coordinators with the same keys judge a journal alike: what could depend on when it is read (a signature that
expires) is held against the time at which it came into the journal, or was accepted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.errors import ShakeoutError
from orchestrator.facts import State
from orchestrator.store import Entry
from workers.contract import facts as f
from workers.contract.halts import Press
from workers.contract.signing import NO_KEYS, Keys, SignatureError, Signed
from workers.contract.trust import check_fact, fact_body, sign_fact, submission_sha256

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
    if not isinstance(said, f.Submitted):
        raise RefusedError("the journal does not begin with a submission")
    accepted = _accepted(id_, entries, trust)
    why = ""
    if said.campaign != id_:
        why = f"the submission is that of another campaign, {said.campaign}"
    elif accepted is not None and accepted.submission != submission_sha256(said, id_):
        why = "the submission was altered: it is not the one that was accepted"
    elif over:
        why = "the submission was replayed: this campaign is over; submit its file again"
    elif halted is not None and accepted is None:
        why = f"{halted.words()}; say `shakeout resume`, then submit it again"
    if why:
        raise RefusedError(why, by=said.by)
    try:
        signed_s = accepted.at_s if accepted is not None else now_s
        return check_fact(said, campaign=id_, keys=trust.people, now_s=signed_s)
    except SignatureError as error:
        raise RefusedError(str(error), by=said.by) from error


def acceptance(said: f.Submitted, signed: Signed, *, id_: str, trust: Trust, now_s: float) -> f.Accepted:
    """What the leader says first of a campaign that it runs."""
    fact = f.Accepted(key=signed.key, submission=submission_sha256(said, id_), at_s=now_s)
    return sign_fact(fact, campaign=id_, keys=trust.keys, now_s=now_s)


@dataclass(slots=True)
class Hearing:
    """What of one campaign's journal counts.

    `heard`: what persons have said so far. `unsaid`: id of a fact -> what is still to be said of what does
    not count.
    """

    id: str
    trust: Trust = field(default_factory=Trust)
    heard: set[bytes] = field(default_factory=set)
    unsaid: dict[str, f.Refused] = field(default_factory=dict)

    def counts(self, entry: Entry, state: State) -> bool:
        """Whether an entry is to be folded into `state`; if not, `unsaid` has why."""
        try:
            self._believe(entry, state)
        except SignatureError as error:
            if len(state.refusals) + len(self.unsaid) < MOST_REFUSALS:
                self.unsaid[f"refused:{entry.id}"] = f.Refused(
                    what=_WHAT[type(entry.fact)],
                    by=getattr(entry.fact, "by", ""),
                    why=str(error),
                    at_s=came_s(entry),
                )
            return False
        return True

    def _believe(self, entry: Entry, state: State) -> None:
        """Raise SignatureError where it does not count."""
        match entry.fact:
            case f.Submitted():
                if state.submitted is not None:
                    raise SignatureError("the campaign was submitted before")
            case f.Accepted():
                check_fact(entry.fact, campaign=self.id, keys=self.trust.keys, now_s=came_s(entry))
            case f.AbortAsked():
                check_fact(entry.fact, campaign=self.id, keys=self.trust.people, now_s=came_s(entry))
                self._hear(fact_body(entry.fact, self.id))
            case f.Noted():
                check_fact(entry.fact, campaign=self.id, keys=self.trust.people, now_s=came_s(entry))
                self._hear(fact_body(entry.fact, self.id))
            case _:
                pass

    def _hear(self, body: bytes) -> None:
        """Not by the signature, which can be written in several ways."""
        if self.trust.people.keys and body in self.heard:
            raise SignatureError("it was replayed: the same was said before")
        self.heard.add(body)


def came_s(entry: Entry) -> float:
    """When an entry came into the journal: Redis makes its id of the time."""
    return float(entry.id.split("-")[0]) / 1000


_WHAT: Final[dict[type, str]] = {
    f.Submitted: "submission",
    f.Accepted: "acceptance",
    f.AbortAsked: "abort",
    f.Noted: "note",
}


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
