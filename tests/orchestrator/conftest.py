"""What tests of the pure rooms share: campaigns as text, cards of workers, a leader without Redis."""

from dataclasses import dataclass, field, replace

import pytest
from msgspec import structs

from orchestrator.campaign.load import load_campaign_text
from orchestrator.decide import actions as a
from orchestrator.decide.decide import decide
from orchestrator.decide.seen import Seen
from orchestrator.facts import State, fold
from orchestrator.plan import Plan, plan_of
from workers.contract import facts as f
from workers.contract.facts import WorkerCard

TARGET = """\
targets:
  chat:
    protocol: openai-chat
    model: m
    url: http://127.0.0.1:8000
"""
LOAD = """\
      - name: steady
        kind: load
        target: chat
        shards: 2
        arrivals: {process: constant, rate: 20/s}
        duration: 30s
        data: {synthetic: {input_tokens: 8, output_tokens: 8}}
        slos: [success_rate >= 99%]
"""
CHAOS = """\
      - name: hang
        kind: chaos
        fault: pause-process
        at: 5s
        for: 2s
        match: {port: 8000}
        expect: [recovery < 5s]
"""


def campaign_text(*phases, top="", more_targets=""):
    """A campaign file: each phase is (name, activities as text) or (name, activities, required phases)."""
    text = "campaign: c\nseed: 1\n" + top + TARGET + more_targets + "phases:\n"
    for name, activities, *requires in phases:
        text += f"  - name: {name}\n"
        if requires:
            text += f"    requires: [{', '.join(requires[0])}]\n"
        text += f"    activities:\n{activities}"
    return text


@pytest.fixture
def load_activity():
    """A load of 30 s at 20/s in two shards, as it stands in a campaign file."""
    return LOAD


@pytest.fixture
def chaos_activity():
    """A held fault at 5 s for 2 s, as it stands in a campaign file."""
    return CHAOS


@pytest.fixture
def text_of():
    """Phases to the text of a campaign file."""
    return campaign_text


@pytest.fixture
def campaign_of():
    """Phases to a checked campaign."""

    def load(*phases, **given):
        return load_campaign_text(campaign_text(*phases, **given)).campaign

    return load


@pytest.fixture
def card():
    """A live worker's card; each on a host of its own unless told."""

    def make(name, *, host=None, slots=2, incarnation="one", **given):
        return WorkerCard(name, incarnation, host or f"host-{name}", "", slots, **given)

    return make


@dataclass
class World:
    """A leader's memory and what it sees, with time and journal in the test's hands.

    `step` decides and folds until nothing new is said, as the real loop does; what it sent, told and revoked
    is kept for the test to look at.
    """

    plan: Plan
    fleet: dict[str, WorkerCard] = field(default_factory=dict)
    now_s: float = 1000.0
    state: State = field(default_factory=State)
    journal: list[f.Fact] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    told: list[a.Tell] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    leases: dict[str, float] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)

    def say(self, fact, id_=None):
        """Append a fact, once under its id."""
        if id_ is not None and id_ in self.ids:
            return False
        if id_ is not None:
            self.ids.add(id_)
        self.journal.append(fact)
        self.state = fold(self.state, fact)
        return True

    def decide(self):
        """What would be done now."""
        return decide(self.state, self.plan, self.look(), self.now_s)

    def look(self):
        """What there is to see beside the journal: all workers of the fleet have just spoken."""
        fleet = tuple(structs.replace(card, seen_s=self.now_s) for card in self.fleet.values())
        return replace(self.seen, fleet=fleet, leases=dict(self.leases))

    def step(self, *, after_s=0.0):
        """Let time pass, then act until nothing more is said."""
        self.now_s += after_s
        for _ in range(200):
            said = [self._act(action) for action in self.decide()]
            if not any(said):
                return
        raise AssertionError("the leader never comes to rest")

    def _act(self, action):
        match action:
            case a.Say(id_, fact):
                return self.say(fact, id_)
            case a.Judge(phase):
                verdict = self.verdicts.get(phase, "pass")
                ended = f.PhaseEnded(phase=phase, verdict=verdict, at_s=self.now_s)
                return self.say(ended, f"phase:{phase}:ended")
            case a.Finish():
                return self.say(f.Ended(verdict="pass", at_s=self.now_s), "ended")
            case a.Lose(attempt, renewed_s, fact):
                if self.leases.get(attempt) != renewed_s:
                    return False
                self.leases.pop(attempt, None)
                return self.say(fact, f"{attempt}:lost")
            case a.Send(attempt):
                self.sent += [attempt] if attempt not in self.sent else []
            case a.Tell():
                self.told += [action] if action not in self.told else []
            case a.Revoke(attempt):
                self.leases.pop(attempt, None)
                self.revoked += [attempt] if attempt not in self.revoked else []
        return False

    # what workers do

    def claim(self, *attempts):
        """Their workers take the attempts and hold their leases."""
        for id_ in attempts or list(self.sent):
            attempt = self.state.attempts[id_]
            if attempt.status == "placed":
                self.leases[id_] = self.now_s
                self.say(f.Claimed(attempt=id_, worker=attempt.worker, incarnation=attempt.incarnation))

    def ready(self, *attempts, fingerprint="same"):
        """The attempts wait for the start."""
        for id_ in attempts or list(self.sent):
            if self.state.attempts[id_].status in ("placed", "claimed", "waiting"):
                self.say(f.Ready(attempt=id_, fingerprint=fingerprint, numpy="2"))

    def exit(self, attempt, outcome="done", **given):
        """An attempt's worker says how it ended."""
        self.leases.pop(attempt, None)
        self.say(
            f.Exited(attempt=attempt, outcome=outcome, at_s=self.now_s, silent_s=self.now_s, **given),
            f"{attempt}:exited",
        )

    def renew(self, *, but=()):
        """Every live claimed attempt's lease, except those named."""
        for id_ in self.leases:
            if id_ not in but:
                self.leases[id_] = self.now_s

    def begin(self):
        """From submission to the moment at which the first phase runs."""
        self.say(f.Submitted(campaign="c-1", text="", at_s=self.now_s))
        self.step()
        self.claim()
        self.ready()
        self.step()

    def finish_running(self):
        """All that runs ends well."""
        for attempt in list(self.state.attempts.values()):
            if attempt.live:
                self.exit(attempt.id)


@pytest.fixture
def world(campaign_of, card):
    """A leader over the given phases and workers."""

    def make(*phases, workers=("a", "b"), top="", fleet=None, more_targets=""):
        plan = plan_of(campaign_of(*phases, top=top, more_targets=more_targets), seed=1)
        cards = fleet if fleet is not None else [card(name) for name in workers]
        return World(plan, {one.worker: one for one in cards})

    return make
