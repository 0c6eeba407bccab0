"""What must hold, looked at after each step that could break it; and the target's own log."""

from collections import Counter, defaultdict

from orchestrator.facts import State, fold, fold_all
from workers.contract.broker import names
from workers.contract.facts import decode_fact


class Watch:
    """`log`: (campaign, activity, index) -> (attempt, true time), what the target saw of open loads.

    `offers`: the same counted, of every kind. `engines`: shard -> engines that have begun.
    """

    def __init__(self, world, plans):
        self.world, self.plans = world, plans
        self.log = {}
        self.offers = Counter()
        self.engines = defaultdict(list)
        self.faults = {}
        self.reverts = set()
        self.claims = {}
        self.epochs = [0]
        self.ended = {}

    # engines

    def began(self, engine):
        """It may send from now on, once authorised."""
        self.engines[engine.task.campaign, engine.task.activity, engine.task.shard].append(engine)

    def changed(self, engine):
        """Its authorisation is another: no arrival may be two live attempts' at one time."""
        task = engine.task
        if engine.start_mono is None or engine.over:
            return
        for other in self.engines[task.campaign, task.activity, task.shard]:
            if other is engine or other.over or not other.alive:
                continue
            first_s = max(engine.from_s, other.from_s)
            last_s = min(engine.ends_s(), other.ends_s())
            if first_s < last_s and self.plans.has_arrivals(task, first_s, last_s):
                self.world.breaks(
                    f"arrivals of {task.campaign} {task.activity} shard {task.shard} intended at "
                    f"[{first_s:.3f}, {last_s:.3f}) s are authorised for {engine.task.attempt} and "
                    f"{other.task.attempt} at one time"
                )

    def offered(self, engine, index, at_s, sent_s):
        """A request leaves."""
        task = engine.task
        self.offers[task.campaign, task.activity] += 1
        if not self.plans.is_open(task):
            return
        key = (task.campaign, task.activity, index)
        if key in self.log:
            before, when_s = self.log[key]
            self.world.breaks(
                f"arrival {index} of {task.campaign} {task.activity}, intended at {at_s:.3f} s, is offered "
                f"by {task.attempt} at {sent_s:.3f} s and was by {before} at {when_s:.3f} s"
            )
        self.log[key] = (task.attempt, sent_s)
        if (task.campaign, task.activity) in self.ended:
            self.world.breaks(f"{task.attempt} of {task.campaign} sends after its phase was judged")

    # faults

    def is_injected(self, attempt):
        """Whether this attempt has done its fault."""
        return (attempt.task.campaign, attempt.task.attempt) in self.faults

    def injected(self, attempt):
        """A fault is done now."""
        task = attempt.task
        shard = (task.campaign, task.activity, task.shard)
        for done in self.faults.values():
            if done == shard:
                self.world.breaks(f"the fault {task.activity} of {task.campaign} is injected twice")
        if task.activity == "slow" and not attempt.worker.proxies:
            self.world.breaks(f"{task.attempt} of {task.campaign} is injected where no proxy stands")
        self.faults[task.campaign, task.attempt] = shard
        self.world.tell(task.activity, "injected by {}", task.attempt)

    def reverted(self, attempt):
        """A fault is undone, by whoever was first."""
        self.reverts.add((attempt.task.campaign, attempt.task.attempt))

    # Redis

    def looks_at(self, data):
        """After each event: the lead's epoch, claims."""
        epoch = int(data.get(names.EPOCH) or 0)
        if epoch < self.epochs[-1]:
            self.world.breaks(f"the epoch fell from {self.epochs[-1]} to {epoch}")
        if epoch != self.epochs[-1]:
            self.epochs.append(epoch)

    def forgets(self, data):
        """A failover forgot writes: what was seen of them does not bind."""
        self.epochs.append(int(data.get(names.EPOCH) or 0))

    def check_journal(self, data, campaign, *, slots):
        """The surviving journal of a campaign, read from its beginning."""
        state = State()
        starts, facts = defaultdict(set), []
        for _, fields in data.xrange(names.journal(campaign)):
            fact = decode_fact(fields[b"f"])
            facts.append(fact)
            before = state
            state = fold(state, fact)
            kind = type(fact).__name__
            if kind == "PhaseStarted":
                starts[fact.phase] |= {fact.start_s}  # said again word for word it is the same
            if kind == "PhaseOpened" and self._waits_for_approval(campaign, fact.phase, before):
                self.world.breaks(f"phase {fact.phase} of {campaign} is opened, and nobody approved it")
            if kind == "Placed" and fact.attempt not in before.attempts:
                self._check_place(before, state, fact, slots)
        if fold_all(State(), facts) != state:
            self.world.breaks(f"who reads the journal of {campaign} at once stands elsewhere")
        twice = [phase for phase, count in starts.items() if len(count) > 1]
        if twice:
            self.world.breaks(f"phase {twice[0]} of {campaign} was started twice")
        return state

    def _waits_for_approval(self, campaign, phase, state):
        gated = "approvals" in self.plans.texts[campaign] and phase == "second"
        return gated and (phase not in state.gates or state.gates[phase].approved is None)

    def _check_place(self, before, state, fact, slots):
        last = before.last_attempt(fact.activity, fact.shard)
        if last is not None and last.live and not last.draining:
            self.world.breaks(f"{fact.attempt} is placed while {last.id} is live")
        if not self.plans.needs_engine(fact.activity):
            return
        live = sum(
            1
            for one in state.attempts.values()
            if one.live and one.worker == fact.worker and self.plans.needs_engine(one.activity)
        )
        if live > slots[fact.worker]:
            self.world.breaks(
                f"worker {fact.worker} is given {live} engines and has {slots[fact.worker]} slots"
            )
