"""One live campaign as its leader holds it: journal folded, snapshots added up, decisions carried out.

`step` reads, decides and acts once. Everything here can be lost at any moment: a successor reads the
journal and the parts, and stands where this one stood.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator import actions as a
from orchestrator.abort import breach_of
from orchestrator.admission import Hearing, acceptance
from orchestrator.aggregate.evidence import fault_spans
from orchestrator.aggregate.totals import FINE_FOR_S, Aggregate
from orchestrator.campaign.models import Campaign
from orchestrator.decide import Seen, decide
from orchestrator.dispatch import Sender
from orchestrator.eligible import ANYTHING_GOES, NOBODY, Rules
from orchestrator.facts import State, fold
from orchestrator.intake import Intake
from orchestrator.judging import Golden, PhaseResult, judge_campaign, judge_phase
from orchestrator.outcome import Outcome
from orchestrator.plan import Plan
from orchestrator.results import Results
from orchestrator.specs import spec_of
from orchestrator.store import Entry, JournalMovedError, Shard, Store
from orchestrator.verdict import CampaignVerdict, skipped
from workers.contract import facts as f
from workers.contract.halts import Halts
from workers.contract.names import LEASE_S
from workers.contract.signing import Signed
from workers.contract.spec import ShardTask, encode_spec
from workers.contract.traces import Times

if TYPE_CHECKING:
    from concurrent.futures import Future

CHECKPOINT_EVERY_S = 5.0
TASK_LIVES_S = 60.0
MOST_ROUNDS = 200
"""Decisions in one step.

A phase of 10,000 shards is placed in several steps, and the lead is renewed between them.
"""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class CampaignRun:
    """`hearing`: what of its journal counts. `signed`: who submitted it. `halts`: the red button.

    `entries`: the journal so far. `done`: effects that this leader has had. `judged`: phases already over.

    `seen`: what the last step saw. `writing`: the results on their way to the runs URL, by name. `times`: of
    recorded arrivals, which the plan's schedules are asked for as long as they are held here.
    """

    id: str
    store: Store
    results: Results
    send: Sender
    campaign: Campaign
    plan: Plan
    intake: Intake
    hearing: Hearing
    signed: Signed
    halts: Halts
    state: State = field(default_factory=State)
    seen: Seen = field(default_factory=Seen)
    entries: list[Entry] = field(default_factory=list)
    cards: dict[str, f.WorkerCard] = field(default_factory=dict)
    judged: dict[str, PhaseResult] = field(default_factory=dict)
    done: set[object] = field(default_factory=set)
    specs: dict[str, str] = field(default_factory=dict)
    checkpointed_s: float = 0.0
    breach: str = ""
    breach_checked_s: int = 0
    writing: "Future[dict[str, bytes]] | None" = None
    finished: bool = False
    times: tuple[Times, ...] = ()

    @property
    def aggregate(self) -> Aggregate:
        """Everything measured so far."""
        return self.intake.aggregate

    @property
    def submitted(self) -> f.Submitted:
        """The fact that began it."""
        assert self.state.submitted is not None  # noqa: S101  # a run is opened from this fact
        return self.state.submitted

    def step(
        self,
        *,
        fleet: tuple[f.WorkerCard, ...],
        busy: dict[str, int],
        leading_since_s: float,
        now_s: float,
        rules: Rules = ANYTHING_GOES,
        held_by: Mapping[str, tuple[str, ...]] = NOBODY,
    ) -> None:
        """Read what is new, decide, and act until there is nothing more to do now.

        `rules`, `busy`, `held_by`: as `Seen` has them.
        """
        self._read_journal()
        self._read_snapshots()
        self.cards.update({card.worker: card for card in fleet})
        if now_s - leading_since_s > LEASE_S:
            self._check_breach(now_s)  # before, snapshots may only not have come through again
        self.seen = Seen(
            fleet=fleet,
            rules=rules,
            busy=busy,
            held_by=held_by,
            leases=self.store.leases(self.id),
            seqs=self.aggregate.seqs(),
            rows_done={key: tuple(one.cases) for key, one in self.aggregate.activities.items() if one.cases},
            breach=self.breach,
            halted=self.halts.hits(self.state.accepted.at_s) if self.state.accepted is not None else None,
            leading_since_s=leading_since_s,
        )
        for _ in range(MOST_ROUNDS):
            if not self._act(self._decide(self.seen, now_s), now_s):
                break
        if now_s - self.checkpointed_s >= CHECKPOINT_EVERY_S:
            try:
                self._checkpoint(now_s)
            except OSError as error:
                log.warning("campaign %s: no part can be written now: %s", self.id, error)
        if self.state.ended is not None and not self.finished:
            self._finish(now_s)

    def phase_results(self) -> tuple[PhaseResult, ...]:
        """What is said of every phase that is over, in the file's order."""
        return tuple(self._judge(phase.name) for phase in self.plan.phases if self._is_over(phase.name))

    def result(self) -> tuple[tuple[PhaseResult, ...], CampaignVerdict]:
        """All phases and the campaign's verdict."""
        phases = (*self.phase_results(), *self._never_begun())
        return phases, judge_campaign(phases, self.state)

    def _never_begun(self) -> tuple[PhaseResult, ...]:
        """Phases that a campaign which was stopped did not come to."""
        if self.state.aborting is None:
            return ()
        names = [phase.name for phase in self.plan.phases if not self._is_over(phase.name)]
        return tuple(PhaseResult(name, skipped(name, "the campaign was stopped before it")) for name in names)

    def _is_over(self, phase: str) -> bool:
        known = self.state.phases.get(phase)
        return known is not None and known.over

    def _judge(self, phase: str) -> PhaseResult:
        if phase not in self.judged:
            result = judge_phase(
                phase,
                campaign=self.campaign,
                plan=self.plan,
                state=self.state,
                aggregate=self.aggregate,
                golden=Golden(self.submitted.cases),
            )
            self.judged[phase] = result
        return self.judged[phase]

    # reading

    def _read_journal(self) -> None:
        last = self.entries[-1].id if self.entries else "0-0"
        for entry in self.store.journal(self.id, after=last):
            self.take(entry)

    def take(self, entry: Entry) -> None:
        """One more of the journal's entries, in order; what does not count changes nothing."""
        self.entries.append(entry)
        if not self.hearing.counts(entry, self.state):
            return
        self.state = fold(self.state, entry.fact)
        if isinstance(entry.fact, f.Placed):
            self.intake.expect((entry.fact.activity, entry.fact.shard))

    def _read_snapshots(self) -> None:
        """Add up what came; a phase that was judged is over, so that a successor judges it the same."""
        self.intake.take(shard for shard in self.state.shards if not self._is_over(self._phase_of(shard)))

    def _phase_of(self, shard: Shard) -> str:
        return self.state.attempts[self.state.shards[shard][0]].phase

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
        refused = (a.Say(id_, fact) for id_, fact in self.hearing.unsaid.items())
        return (*refused, *decide(self.state, self.plan, seen, now_s))

    def _act(self, actions: tuple[a.Action, ...], now_s: float) -> bool:
        """Carry out; True where a fact was said, so that deciding again makes sense at once."""
        said = False
        for action in actions:
            match action:
                case a.Say(id_, fact):
                    said = self._say(id_, fact) or said
                case a.Lose():
                    said = self._lose(action) or said
                case a.Judge(phase):
                    said = self._end_phase(phase, now_s) or said
                case a.Finish():
                    _, verdict = self.result()
                    final = "aborted" if self._aborted_by_person() else verdict.verdict
                    said = (
                        self._say("ended", f.Ended(verdict=final, reasons=verdict.reasons, at_s=now_s))
                        or said
                    )
                case _:
                    self._once(action, now_s)
        return said

    def _end_phase(self, phase: str, now_s: float) -> bool:
        """Judge it on numbers that are kept, so that whoever judges it again says the same."""
        self._checkpoint(now_s)
        self.judged.pop(phase, None)
        result = self._judge(phase)
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
        last = self.entries[-1].id if self.entries else "0-0"
        try:
            entry = self.store.append(self.id, last_id=last, id_=id_, fact=fact)
        except JournalMovedError:
            self._read_journal()
            return True
        self.hearing.unsaid.pop(id_, None)
        if entry is None:
            return False
        self.take(Entry(entry, fact))
        return True

    def _lose(self, action: a.Lose) -> bool:
        taken = self.store.revoke_seen(self.id, action.attempt, renewed_s=action.renewed_s)
        return taken and self._say(f"{action.attempt}:lost", action.fact)

    def _once(self, action: a.Send | a.Tell | a.Revoke, now_s: float) -> None:
        """Effects outside the journal: each once in this leader's life, again after a restart."""
        if action in self.done:
            return
        match action:
            case a.Send(attempt):
                self.send(self._task(attempt, now_s))
            case a.Tell(worker, order):
                self.store.order(worker, order)
            case a.Revoke(attempt):
                self.store.revoke(self.id, attempt)
        self.done.add(action)

    def _task(self, id_: str, now_s: float) -> ShardTask:
        attempt = self.state.attempts[id_]
        activity = self.plan.activity(attempt.activity)
        return ShardTask(
            campaign=self.id,
            activity=attempt.activity,
            shard=attempt.shard,
            of=attempt.of,
            number=attempt.number,
            attempt=id_,
            worker=attempt.worker,
            incarnation=attempt.incarnation,
            spec_sha256=self._spec(attempt.activity),
            kind=activity.kind,
            expires_s=now_s + TASK_LIVES_S,
            probe=attempt.shard == 0 and activity.needs_engine and attempt.from_s is None,
            skip_rows=attempt.skip_rows,
        )

    def _spec(self, activity: str) -> str:
        """The activity's spec in Redis, by its sha256."""
        if activity not in self.specs:
            said = self.submitted
            spec = spec_of(
                self.plan.activity(activity),
                self.campaign,
                run=self.id,
                seed=said.seed,
                files=said.files,
                urls=said.urls,
                cases=said.cases.get(activity, 0),
                samples_url=self.results.samples(self.id),
            )
            sha256, body = encode_spec(spec)
            self.store.put_spec(self.id, sha256, body)
            self.specs[activity] = sha256
        return self.specs[activity]

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
            self.writing = self._start_write(now_s)
        if self.writing.done():
            self.store.finish(self.id, at_s=now_s, results=self.writing.result(), shards=self.state.shards)
            self.results.drop_parts(self.id)
            self.finished = True

    def _start_write(self, now_s: float) -> "Future[dict[str, bytes]]":
        phases, verdict = self.result()
        outcome = Outcome(
            id=self.id,
            campaign=self.campaign,
            plan=self.plan,
            state=self.state,
            phases=phases,
            verdict=verdict,
            journal=tuple(self.entries),
            fleet=tuple(
                self.cards[name]
                for name in sorted({one.worker for one in self.state.attempts.values()})
                if name in self.cards
            ),
            started_s=self.submitted.at_s,
            ended_s=self.state.ended.at_s if self.state.ended is not None else now_s,
            flower=self.store.flower(),
        )
        return self.results.start_write(outcome)
