"""One live campaign as its leader holds it: journal folded, snapshots added up, decisions carried out.

`step` reads, decides and acts once. Everything here can be lost at any moment: a successor reads the
journal and the parts, and stands where this one stood.
"""

import logging
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING

from orchestrator.aggregate.evidence import fault_spans
from orchestrator.aggregate.totals import FINE_FOR_S, Aggregate
from orchestrator.campaign.models import Campaign
from orchestrator.coordinator.admission import Hearing, acceptance
from orchestrator.coordinator.auditing import CampaignAudit
from orchestrator.coordinator.effects import Effects
from orchestrator.coordinator.finishing import let_go, outcome_of
from orchestrator.coordinator.intake import Intake
from orchestrator.coordinator.news import CampaignNews
from orchestrator.coordinator.others import NO_OTHERS, Others
from orchestrator.coordinator.pace import Pace
from orchestrator.coordinator.phases import is_over, judged_anew, result_of
from orchestrator.decide import actions as a
from orchestrator.decide.decide import decide
from orchestrator.decide.placing import doing, slots_held
from orchestrator.decide.seen import Seen
from orchestrator.facts import State, fold_all
from orchestrator.gameday.hidden import kept_back
from orchestrator.judging.abort import breach_of
from orchestrator.judging.judging import PhaseResult
from orchestrator.judging.steady import unsteady
from orchestrator.placement.eligible import ANYTHING_GOES, Rules
from orchestrator.placement.spared import Occupied
from orchestrator.plan import Plan
from orchestrator.results.results import Results
from orchestrator.store.entries import Entry, JournalMovedError, SaidBeforeError
from orchestrator.store.store import FACTS_AT_ONCE, Store, Stream
from workers.contract import facts as f
from workers.contract.broker.names import LEASE_S
from workers.contract.files.traces import Times
from workers.contract.signed.halts import Halts
from workers.contract.signed.signing import Signed
from workers.contract.spec import attempt_id

if TYPE_CHECKING:
    from concurrent.futures import Future

CHECKPOINT_EVERY_S = 5.0
MOST_ROUNDS = 200
"""Decisions in one step."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class CampaignRun:
    """`hearing`: what of its journal counts. `signed`: who submitted it. `halts`: the red button.

    `entries`: what counts of the journal so far; `read_to`: id of its last entry, whether it counts or not.
    `judged`: phases already over.

    `seen`: what the last step saw. `settles_s`: as `Seen` has it. `writing`: the results on their way to the
    runs URL, by name. `times`: of recorded arrivals, which the plan's schedules are asked for as long as they
    are held here. `audit`: what outlives the campaign. `noted`: how many decisions the runs URL knows of.
    `news`: what a game day's webhook is told.
    """

    id: str
    store: Store
    results: Results
    effects: Effects
    campaign: Campaign
    plan: Plan
    intake: Intake
    hearing: Hearing
    signed: Signed
    halts: Halts
    state: State = field(default_factory=State)
    seen: Seen = field(default_factory=Seen)
    entries: list[Entry] = field(default_factory=list)
    read_to: str = "0-0"
    cards: dict[str, f.WorkerCard] = field(default_factory=dict)
    judged: dict[str, PhaseResult] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)
    leases_read: Pace = field(default_factory=Pace)
    snapshots_read: Pace = field(default_factory=Pace)
    holds: tuple[State, Counter[str], Occupied] | None = None
    checkpointed_s: float = 0.0
    breach: str = ""
    breach_checked_s: int = 0
    unsteady: str = ""
    settles_s: float = 0.0
    writing: "Future[dict[str, bytes]] | None" = None
    finished: bool = False
    noted: int = 0
    times: tuple[Times, ...] = ()
    news: CampaignNews | None = None
    audit: CampaignAudit = field(init=False)

    def __post_init__(self) -> None:
        self.audit = CampaignAudit(self.id)

    @property
    def aggregate(self) -> Aggregate:
        """Everything measured so far."""
        return self.intake.aggregate

    @property
    def slots_held(self) -> Counter[str]:
        """Engine slots that its live attempts hold, by worker; counted once for each state."""
        return self._holds()[1]

    @property
    def doing(self) -> Occupied:
        """What its live attempts do on which hosts, for other campaigns to keep away from."""
        return self._holds()[2]

    def _holds(self) -> tuple[State, Counter[str], Occupied]:
        if self.holds is None or self.holds[0] is not self.state:
            held = doing(self.state, self.plan, campaign=self.id)
            self.holds = self.state, slots_held(self.state, self.plan), held
        return self.holds

    @property
    def submitted(self) -> f.Submitted:
        """The fact that began it."""
        assert self.state.submitted is not None  # noqa: S101  # a run is opened from this fact
        return self.state.submitted

    def step(
        self,
        *,
        fleet: tuple[f.WorkerCard, ...],
        others: Others = NO_OTHERS,
        leading_since_s: float,
        now_s: float,
        rules: Rules = ANYTHING_GOES,
        queued: str = "",
    ) -> None:
        """Read what is new, decide, and act until there is nothing more to do now.

        `others`: what they hold of the fleet. `rules`, `queued`: as `Seen` has them.
        """
        self._read_journal()
        if self.snapshots_read.due(len(self.state.live)) and self._read_snapshots():
            self.snapshots_read.hurry()
        if self.leases_read.due(len(self.state.live)):
            self.leases = self.store.leases(self.id, self.state.live)
        self.cards.update({card.worker: card for card in fleet})
        if now_s - leading_since_s > LEASE_S:  # before, snapshots may only not have come through again
            self._check_breach(now_s)
            self.unsteady = unsteady(self.campaign, self.plan, self.state, self.aggregate, now_s=now_s)
        self.seen = Seen(
            fleet=fleet,
            rules=rules,
            busy=others.busy,
            held_by=others.held_by,
            beside=others.doing,
            leases=self.leases,
            seqs=self.aggregate.seqs(),
            rows_done={key: tuple(one.cases) for key, one in self.aggregate.activities.items() if one.cases},
            breach=self.breach,
            unsteady=self.unsteady,
            halted=self.halts.hits(self.state.accepted.at_s) if self.state.accepted is not None else None,
            queued=queued,
            leading_since_s=leading_since_s,
            server_since_s=self.store.server_since_s,
            settles_s=self.settles_s,
        )
        if now_s - self.checkpointed_s >= CHECKPOINT_EVERY_S:  # first, for it makes room in a full Redis
            try:
                self._checkpoint(now_s)
            except OSError as error:
                log.warning("campaign %s: no part can be written now: %s", self.id, error)
        for _ in range(MOST_ROUNDS):
            if not self._act(self._decide(self.seen, now_s), now_s):
                break
        if self.news is not None:
            hidden = kept_back(self.campaign, self.plan, self.state)
            self.news.look(self.entries, self.campaign, hidden=hidden)
        self.audit.look(self.entries, by=self.submitted.by, store=self.store, keys=self.hearing.trust.keys)
        if self.state.ended is not None and not self.finished:
            self._finish(now_s)

    # reading

    def _read_journal(self) -> None:
        self.take(*self.store.journal(self.id, after=self.read_to))

    def take(self, *entries: Entry) -> None:
        """More of the journal's entries, in order; what does not count changes nothing."""
        heard: list[f.Fact] = []
        for entry in entries:
            if isinstance(entry.fact, f.Submitted | f.Refused | f.Approved | f.Denied):
                # whether one of these counts, or one more is said, depends on those before it
                self.state, heard = fold_all(self.state, heard), []
            self.read_to = entry.id
            fact = self.hearing.believed(entry, self.state)
            if fact is None:
                continue
            self.entries.append(Entry(entry.id, fact))
            heard.append(fact)
            if isinstance(fact, f.Placed):
                self.intake.expect((fact.activity, fact.shard, fact.number))
        self.state = fold_all(self.state, heard)

    def _read_snapshots(self) -> bool:
        """Add up what came; a phase that was judged is over, so that a successor judges it the same.

        True where there may be more: one reply is bounded.
        """
        return self.intake.take(stream for stream in self.intake.read if not self._is_read(stream))

    def _is_read(self, stream: Stream) -> bool:
        """Whether nothing more is to be taken of an attempt's snapshots: all came, or its phase is judged."""
        attempt = self.state.attempts[attempt_id(*stream)]
        if is_over(self, attempt.phase):
            return True
        exited, totals = attempt.exited, self.aggregate.activities.get(attempt.activity)
        if exited is None or totals is None or attempt.id not in totals.attempts:
            return False
        return totals.attempts[attempt.id].seq >= exited.last_seq > 0

    def _check_breach(self, now_s: float) -> None:
        """`abort_if`, each second; what it once said stands."""
        if not self.breach and int(now_s) != self.breach_checked_s:
            self.breach_checked_s = int(now_s)
            self.breach = breach_of(self.campaign, self.plan, self.state, self.aggregate, now_s=now_s)

    # acting

    def _decide(self, seen: Seen, now_s: float) -> tuple[a.Action, ...]:
        """What is to be done now; before anything else is said, that the campaign is accepted."""
        if self.state.ended is not None:
            return ()
        if self.state.accepted is None:
            accepted = acceptance(
                self.submitted, self.signed, id_=self.id, trust=self.hearing.trust, now_s=now_s
            )
            # whoever took a fixed id before could keep the campaign from ever being accepted
            return (a.Say(f"accepted:{uuid.uuid4().hex}", accepted),)
        refused = [a.Say(id_, fact) for id_, fact in self.hearing.unsaid.items()]
        if self.news is not None:
            refused += [a.Say(id_, fact) for id_, fact in self.news.failures(now_s).items()]
        return (*refused, *decide(self.state, self.plan, seen, now_s))

    def _act(self, actions: tuple[a.Action, ...], now_s: float) -> bool:
        """Carry out; True where a fact was said, so that deciding again makes sense at once."""
        said = False
        for _, alike in groupby(actions, type):
            some = tuple(alike)
            says = {one.id: one.fact for one in some if isinstance(one, a.Say)}
            effects = [one for one in some if isinstance(one, a.Send | a.Tell | a.Revoke)]
            said = self._say_all(says) or said
            if any(isinstance(one, a.Send) for one in effects):
                self._note_decided()
            self.effects.have(effects, self.state, now_s)
            for action in some:
                said = self._act_alone(action, now_s) or said
        return said

    def _act_alone(self, action: a.Action, now_s: float) -> bool:
        """Carry out what is not done together with its like; True where a fact was said."""
        match action:
            case a.Lose():
                return self._lose(action)
            case a.Judge(phase):
                return self._end_phase(phase, now_s)
            case a.Finish():
                _, verdict = result_of(self)
                final = "aborted" if self._aborted_by_person() else verdict.verdict
                return self._say("ended", f.Ended(verdict=final, reasons=verdict.reasons, at_s=now_s))
            case _:
                return False

    def _end_phase(self, phase: str, now_s: float) -> bool:
        """Judge it on numbers that are kept, so that whoever judges it again says the same."""
        while self._read_snapshots():
            pass  # all that is there, of lost attempts too, whose last one nobody announced
        self._checkpoint(now_s)
        result = judged_anew(self, phase)
        fact = f.PhaseEnded(
            phase=phase,
            verdict=result.verdict.verdict or "invalid",
            reasons=result.verdict.reasons,
            at_s=now_s,
        )
        return self._say(f"phase:{phase}:ended", fact)

    def _aborted_by_person(self) -> bool:
        return self.state.aborting is not None and self.state.aborting.verdict == "aborted"

    def _say(self, id_: str, fact: f.Fact) -> bool:
        return self._say_all({id_: fact})

    def _say_all(self, facts: Mapping[str, f.Fact]) -> bool:
        """Append decisions by their ids; True where there is reason to decide again."""
        said = False
        left = dict(facts)
        while left:
            some = dict(islice(left.items(), FACTS_AT_ONCE))
            # their numbers follow those of the decisions that count so far
            signed = [(id_, self.hearing.signed(fact, after=n)) for n, (id_, fact) in enumerate(some.items())]
            try:
                entries = self.store.append_all(self.id, last_id=self.read_to, facts=signed)
            except JournalMovedError:
                self._read_journal()
                return True
            except SaidBeforeError as error:
                gone = error.ids
            else:
                gone, said = frozenset(some), True
                self.take(*(Entry(entry, fact) for entry, (_, fact) in zip(entries, signed, strict=True)))
            for id_ in gone:
                del left[id_]
                self.hearing.unsaid.pop(id_, None)
                if self.news is not None:
                    self.news.said(id_)
        return said

    def _note_decided(self) -> None:
        """Before a shard begins, note outside Redis that it was decided: a journal cut back is seen by it."""
        number = self.hearing.decided
        if number <= self.noted:
            return
        leader, server = f"{self.store.epoch}-{self.store.nonce[:8]}", self.store.run_id()
        try:
            self.results.note_decided(self.id, number, leader=leader, server=server)
        except OSError as error:  # load does not wait for a store that is away
            log.warning("campaign %s: it cannot be noted how much is decided: %s", self.id, error)
        else:
            self.noted = number

    def _lose(self, action: a.Lose) -> bool:
        taken = self.store.revoke_seen(self.id, action.attempt, renewed_s=action.renewed_s)
        return taken and self._say(f"{action.attempt}:lost", action.fact)

    # keeping

    def _checkpoint(self, now_s: float) -> None:
        """Keep what was taken in. Raises OSError where no part can be written now."""
        self.checkpointed_s = now_s
        if self.intake.keep():
            self._coarsen(now_s)

    def _coarsen(self, now_s: float) -> None:
        """Sketches older than 15 min share their 10 s, unless a fault was near.

        A night must fit in memory.
        """
        name = self.state.current_phase()
        start_s = self.state.phases[name].start_s if name is not None else None
        if name is None or start_s is None:
            return
        phase = self.plan.phase(name)
        spans = fault_spans(self.state, phase, start_s)
        keep = tuple((one.injected_s, one.reverted_s or now_s - start_s) for one in spans)
        for activity in phase.activities:
            self.aggregate.of(activity.key).coarsen(before_s=int(now_s - start_s) - FINE_FOR_S, keep=keep)

    def _finish(self, now_s: float) -> None:
        """Write the results beside the loop, which others wait for; once they stand, let the campaign go."""
        if self.writing is None:
            self.writing = self.results.start_write(outcome_of(self, now_s))
        if self.writing.done():
            let_go(self, self.writing.result(), now_s)
            self.results.drop_parts(self.id)
            self.finished = True
