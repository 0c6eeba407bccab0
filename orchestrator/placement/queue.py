"""Which live campaigns may not begin yet, and why, in words for people: targets, ceilings, slots. Pure.

- A campaign that has begun is never interrupted: it holds its targets, and the slots of the phases that it
  still has before it, to its end.
- Of those that wait the higher priority comes first, then the older. Whatever one of them waits for, later
  ones may not take from it: no target of its, no part of a ceiling there, and where it waits for slots none
  of any worker that it could use. So a later campaign passes an earlier one only where it cannot delay it,
  and every campaign begins once those before it have ended.
- A target is held by one campaign, unless all that are on it say `share_target: true`. Those go together
  while what they may send at once stays under the lowest ceiling that any of them, or the operator, sets.
- One that waits for slots which nobody holds is let begin: the fleet lacks them, which `place_within` judges.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from orchestrator.placement.ceilings import ROUNDED, Holding
from orchestrator.placement.eligible import ANYTHING_GOES, MOST_NAMED, Rules, select_for
from orchestrator.placement.placement import place_phase
from orchestrator.plan import PhasePlan
from workers.contract.facts import WorkerCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A live campaign as the queue sees it.

    `by`: who submitted it. `begun`: its first phase was opened. `shares`: it says `share_target`. `ahead`:
    phases whose shards are still to be placed; `held`: worker -> slots that it holds now.
    """

    id: str
    by: str
    seed: int
    priority: int
    submitted_s: float
    begun: bool
    shares: bool
    holdings: tuple[Holding, ...]
    ahead: tuple[PhasePlan, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, float, str]:
        """The lower, the earlier its turn."""
        return -self.priority, self.submitted_s, self.id


@dataclass(slots=True)
class _Slots:
    """The fleet's slots: `kept`: campaign -> worker -> slots that are its own until it ends."""

    fleet: Sequence[WorkerCard]
    rules: Rules
    kept: dict[str, Counter[str]] = field(default_factory=dict)

    def taken(self) -> Counter[str]:
        """By worker, all that are kept."""
        total: Counter[str] = Counter()
        for one in self.kept.values():
            total.update(one)
        return total

    def keep(self, one: Contender) -> None:
        """What it holds, or will need in any of its phases, as far as that can be placed now."""
        busy = self.taken()
        mine = Counter(one.held)
        for phase in one.ahead:
            placed = place_phase(phase.activities, self.fleet, busy=busy, seed=one.seed, rules=self.rules)
            engines = {activity.key for activity in phase.activities if activity.needs_engine}
            mine |= Counter(each.worker for each in placed.assignments if each.activity in engines)
        self.kept[one.id] = mine

    def lacks(self, one: Contender) -> str:
        """Why one of its phases would have no place now; empty where all have, or waiting would not help."""
        busy = self.taken()
        held_by: dict[str, tuple[str, ...]] = {}
        for id_, mine in self.kept.items():
            held_by.update({worker: (*held_by.get(worker, ()), id_) for worker in mine})
        for phase in one.ahead:
            placed = place_phase(
                phase.activities, self.fleet, busy=busy, seed=one.seed, rules=self.rules, held_by=held_by
            )
            if placed.unmet and any(busy[worker] for worker in self.usable(one)):
                return placed.unmet[0]
        return ""

    def usable(self, one: Contender) -> frozenset[str]:
        """Workers that could be given a shard of it."""
        return frozenset(
            card.worker
            for phase in one.ahead
            for activity in phase.activities
            if activity.needs_engine
            for card in select_for(activity, self.fleet, seed=one.seed, rules=self.rules)
        )


def queue(
    live: Iterable[Contender], *, fleet: Sequence[WorkerCard], rules: Rules = ANYTHING_GOES
) -> dict[str, str]:
    """Id -> why it may not begin yet, of the campaigns that may not; `live`: all that have not ended."""
    everybody = sorted(live, key=lambda one: one.order)
    begun = [one for one in everybody if one.begun]
    slots = _Slots(fleet, rules)
    for one in begun:
        slots.keep(one)
    found: dict[str, str] = {}
    before: list[Contender] = []
    starved: list[tuple[Contender, frozenset[str]]] = []
    for one in everybody:
        if one.begun:
            continue
        why = _held(one, begun) or _behind(one, begun, before)
        if not why:
            why = _behind_for_slots(slots.usable(one), starved)
            lacking = "" if why else slots.lacks(one)
            if lacking:
                why = f"waits for slots: {lacking}"
                starved.append((one, slots.usable(one)))
        if why:
            found[one.id] = why
            before.append(one)
        else:
            begun.append(one)
            slots.keep(one)
    return found


def words_of(one: Contender) -> str:
    """A campaign and whose it is: `peak-1 (by ada)`."""
    return f"{one.id} (by {one.by})" if one.by else one.id


def _held(one: Contender, begun: Sequence[Contender]) -> str:
    """Why what has begun keeps a campaign off a target."""
    for mine, theirs, other in _meetings(one, begun):
        if not (one.shares and other.shares):
            return f"waits for campaign {words_of(other)}, which holds target {theirs.url}"
        why = _too_much(one, mine, begun)
        if why:
            return f"waits for campaign {words_of(other)}: {why}"
    return ""


def _behind(one: Contender, begun: Sequence[Contender], before: Sequence[Contender]) -> str:
    """Why a campaign would take something from one whose turn comes first."""
    for mine, theirs, other in _meetings(one, before):
        why = ""
        if not (one.shares and other.shares):
            why = f"which comes first on target {theirs.url}"
        elif too_much := _too_much(one, mine, [*begun, *before]):
            why = f"which comes first: {too_much}"
        if why:
            return f"waits behind {_ranked(other)}, {why}"
    return ""


def _behind_for_slots(usable: frozenset[str], starved: Sequence[tuple[Contender, frozenset[str]]]) -> str:
    for other, workers in starved:
        if usable & workers:
            return f"waits behind {_ranked(other)}, which waits for slots of the same workers"
    return ""


def _ranked(one: Contender) -> str:
    by = f", by {one.by}" if one.by else ""
    return f"{one.id} (priority {one.priority}{by})"


def _meetings(one: Contender, others: Sequence[Contender]) -> Iterator[tuple[Holding, Holding, Contender]]:
    """Where two campaigns load one place."""
    for other in others:
        for mine in one.holdings:
            for theirs in other.holdings:
                if mine.places & theirs.places:
                    yield mine, theirs, other


def _too_much(one: Contender, mine: Holding, others: Sequence[Contender]) -> str:
    """Why all on a place together might go over the lowest ceiling there; empty where they would not."""
    there = [(other, theirs) for my, theirs, other in _meetings(one, others) if my is mine]
    ceilings = [each.ceiling_per_s for _, each in there] + [mine.ceiling_per_s]
    lowest = min((each for each in ceilings if each is not None), default=None)
    asked = mine.asks_per_s + sum(each.asks_per_s for _, each in there)
    if lowest is None or asked <= lowest * ROUNDED:
        return ""
    theirs = [f"{other.id} may send {_rate(each.asks_per_s)}" for other, each in islice(there, MOST_NAMED)]
    rest = len(there) - len(theirs)
    theirs += [f"{rest} more the rest"] if rest > 0 else []
    return (
        f"target {mine.url} is to get at most {lowest:g}/s, of which {', '.join(theirs)}, and this one "
        f"{_rate(mine.asks_per_s)}"
    )


def _rate(per_s: float) -> str:
    return "any rate" if per_s == float("inf") else f"{per_s:g}/s"
