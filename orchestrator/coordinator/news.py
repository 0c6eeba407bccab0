"""What a game day's webhook is told, in words: start, approvals, faults, silences, aborts, the end."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from orchestrator.campaign.models import Campaign
from orchestrator.coordinator.admission import came_s
from orchestrator.coordinator.announcing import Announcing
from orchestrator.gameday.hidden import said_of
from orchestrator.gameday.persons import holder, said_by
from orchestrator.gameday.windows import until_words
from orchestrator.slo.words import seconds
from orchestrator.store.entries import Entry
from workers.contract import facts as f

LATELY_S: Final = 60.0
"""A leader that follows another tells again what came so lately: it may not have been told.

A lead is taken over within 6 s, and a webhook that hangs has three tries of 15 s.
"""
_FAULT: Final = ("injected", "reverted", "failed", "residue")
_ESCAPES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


@dataclass(slots=True)
class CampaignNews:
    """How far the journal of one campaign has been told. `since_s`: what came before is old.

    `untold`: id of a fact -> what could not be told, until the journal has it.
    """

    campaign: str
    announcing: Announcing
    since_s: float
    looked: int = 0
    untold: dict[str, f.AnnounceFailed] = field(default_factory=dict)

    def look(self, entries: list[Entry], campaign: Campaign, *, hidden: Collection[str]) -> None:
        """Tell what is new in what counts of the journal; `hidden`: activities that are not to be named."""
        url = campaign.gameday.announce if campaign.gameday is not None else None
        for entry in entries[self.looked :]:
            self.looked += 1
            if url is None or not self.announcing.looks_first(
                self.campaign, entry.id, is_late=came_s(entry) < self.since_s
            ):
                continue
            if said_of(entry.fact, frozenset(hidden)):
                continue
            told = words(entry.fact, self.campaign)
            if told is not None:
                what, text = told
                self.announcing.tell(self.campaign, url=url, what=what, text=_escaped(text))

    def failures(self, now_s: float) -> dict[str, f.AnnounceFailed]:
        """Facts about what could not be told, by id, again and again until each is in the journal."""
        for what, why in self.announcing.failures(self.campaign):
            fact = f.AnnounceFailed(what=what, why=why, at_s=now_s)
            self.untold[f"unannounced:{uuid.uuid4().hex}"] = fact
        return dict(self.untold)

    def said(self, id_: str) -> None:
        """A fact is in the journal."""
        self.untold.pop(id_, None)


def words(fact: f.Fact, campaign: str) -> tuple[str, str] | None:
    """(what it is, the message) for a fact that people want to hear of; None for others."""
    told = _of_people(fact, campaign) or _of_course(fact)
    return (told[0], f"{campaign}: {told[1]}") if told is not None else None


def _of_people(fact: f.Fact, campaign: str) -> tuple[str, str] | None:
    match fact:
        case f.ApprovalAsked(phase=phase, role=role, address=address, within_s=within_s):
            asked = f"{holder(role, address)}, phase {phase} needs your approval"
            until = f"at the latest {seconds(within_s)} after its gate is reached"
            return "an approval", f"{asked}, {until}: shakeout approve {campaign} {phase}"
        case f.GateReached(phase=phase, until_s=until_s, at_s=at_s):
            until = until_words(until_s, asked_s=at_s)
            return "a gate", f"phase {phase} waits for its approval until {until}"
        case f.Approved(phase=phase, by=by, why=why, key=key):
            return "an approval", f"{said_by(by, key)} approved phase {phase}" + (f": {why}" if why else "")
        case f.Denied(phase=phase, by=by, why=why, key=key):
            said = f"{said_by(by, key)} did not approve phase {phase}"
            return "a denial", said + (f": {why}" if why else "")
        case f.Revealed(activity=activity, by=by):
            return "a reveal", f"{by} revealed {activity}"
        case f.Posed(activity=activity, text=text):
            return "a fault", f"what if: {activity}, {text}"
        case _:
            return None


def _of_course(fact: f.Fact) -> tuple[str, str] | None:
    match fact:
        case f.Accepted():
            return "the start", "the game day is accepted; it begins when its turn comes"
        case f.PhaseStarted(phase=phase):
            return "a phase", f"phase {phase} begins"
        case f.PhaseSkipped(phase=phase, why=why):
            return "a phase", f"phase {phase} is skipped: {why}"
        case f.FaultSeen(attempt=attempt, what=what, why=why) if what in _FAULT:
            name = attempt.rsplit(":", 2)[0]
            return "a fault", f"fault {name} {what}" + (f": {why}" if why else "")
        case f.Silenced(what="created", matchers=matchers, until_s=until_s):
            until = datetime.fromtimestamp(until_s, UTC)
            return (
                "a silence",
                f"Alertmanager keeps {matchers} quiet, until {until:%H:%M:%S} UTC at the latest",
            )
        case f.Silenced(what=what, matchers=matchers, why=why):
            gone = "is removed" if what == "removed" else f"failed: {why}"
            return "a silence", f"the silence of {matchers or 'a former attempt'} {gone}"
        case f.Aborting(why=why):
            return "an abort", f"stopping everything: {why}"
        case f.Ended(verdict=verdict, reasons=reasons):
            return "the end", f"the game day has ended: {verdict}" + (f" ({reasons[0]})" if reasons else "")
        case _:
            return None


def _escaped(text: str) -> str:
    """As Slack wants it: nothing in a message mentions or links by itself."""
    for sign, instead in _ESCAPES:
        text = text.replace(sign, instead)
    return text
