"""Very many workers that do as they are told, seen through `decide` and `fold_all` alone."""

from msgspec.structs import replace
from simulated.campaigns import load, planned, text_of

from orchestrator.decide import actions as a
from orchestrator.decide.decide import decide
from orchestrator.decide.seen import Seen
from orchestrator.facts import State, fold_all
from workers.contract import facts as f

STEP_S = 0.5
LASTS_S = 12
LONGEST_S = 120.0


class Crowd:
    """A campaign of one load in `shards`; `killed`: so many workers are lost once it runs."""

    def __init__(self, *, workers, slots, shards, killed=0):
        text = text_of(
            ("only", load("steady", rate=10 * shards, lasts_s=LASTS_S, shards=shards)), fence_s=2, within_s=60
        )
        self.plan = planned(text)
        self.now_s = 1_000.0
        self.state = State()
        self.leases = {}
        self.dead = set()
        self.killed = [f"w{number}" for number in range(killed)]
        self.cards = [
            f.WorkerCard(f"w{number}", f"w{number}-1", f"host-{number}", "", slots)
            for number in range(workers)
        ]
        self.sent = []
        self.start_s = 0.0
        self.fold([f.Submitted(campaign="big", text=text, at_s=self.now_s)])

    def fold(self, facts):
        """More of the journal."""
        self.state = fold_all(self.state, facts)

    def live(self):
        """To the end of the campaign."""
        until_s = self.now_s + LONGEST_S
        while self.state.ended is None:
            assert self.now_s < until_s, "the campaign does not end"
            self._lead()
            self._work()
            self.now_s += STEP_S

    def _lead(self):
        fleet = tuple(replace(card, seen_s=self.now_s) for card in self.cards if card.worker not in self.dead)
        for _ in range(20):
            seen = Seen(fleet=fleet, leases=dict(self.leases))
            actions = decide(self.state, self.plan, seen, self.now_s)
            said = [one.fact for one in actions if isinstance(one, a.Say)]
            for one in actions:
                match one:
                    case a.Lose(attempt, renewed_s, fact) if self.leases.get(attempt) == renewed_s:
                        self.leases.pop(attempt, None)
                        said.append(fact)
                    case a.Judge(phase):
                        said.append(f.PhaseEnded(phase=phase, verdict="pass", at_s=self.now_s))
                    case a.Finish():
                        said.append(f.Ended(verdict="pass", at_s=self.now_s))
                    case a.Send(attempt):
                        self.sent.append(attempt)
            if not said:
                return
            self.fold(said)
        raise AssertionError("the leader never comes to rest")

    def _work(self):
        facts = []
        for id_ in dict.fromkeys(self.sent):
            one = self.state.attempts[id_]
            if one.status == "placed" and one.worker not in self.dead:
                facts.append(f.Claimed(attempt=id_, worker=one.worker, incarnation=one.incarnation))
                facts.append(f.Ready(attempt=id_, fingerprint="same", numpy="2"))
        self.sent = []
        start_s = self.state.phases["only"].start_s if "only" in self.state.phases else None
        if start_s is not None:
            self.start_s = start_s
            if self.now_s > start_s + 2.0:
                self.dead.update(self.killed)
        self.fold(facts)
        ended = []
        for one in self.state.live.values():
            if one.worker in self.dead or one.status == "placed":
                continue
            self.leases[one.id] = self.now_s
            if one.status == "running" and self.now_s >= start_s + LASTS_S:
                ended.append(f.Exited(attempt=one.id, outcome="done", silent_s=self.now_s, at_s=self.now_s))
        self.fold(ended)
