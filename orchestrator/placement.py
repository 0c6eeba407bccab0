"""Shards and a fleet -> who runs what, or why it cannot: pure.

An engine kind takes a slot; chaos and telemetry need none, and are done once on each host. Placing is all or
nothing for a phase: a load that starts with half of its shards would be another load.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.capacity import engines_that_fit, shards_needed
from orchestrator.eligible import ANYTHING_GOES, NOBODY, Rules, Taken, nobody_fits, select, too_few_slots
from orchestrator.plan import LEAST_PER_SHARD_PER_S, ActivityPlan
from workers.contract.facts import WorkerCard
from workers.contract.schedule import OpenArrivals, peak_per_s

Rank = tuple[int, int, str]
"""(shards of this phase that it was given, minus its free slots, name)."""


@dataclass(frozen=True, slots=True)
class Want:
    """A shard that has to run somewhere; `avoid`: workers on which an earlier attempt at it ended badly.

    For chaos and telemetry: `host` is where it was before, if anywhere; `taken` are the hosts of the
    activity's other shards.
    """

    activity: str
    shard: int
    of: int
    avoid: frozenset[str] = frozenset()
    host: str = ""
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Assignment:
    """Shard `shard` of `of` goes to one incarnation of one worker."""

    activity: str
    shard: int
    of: int
    worker: str
    incarnation: str
    host: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Either every shard has a place, or `unmet` says in plain words what is missing and who came nearest."""

    assignments: tuple[Assignment, ...] = ()
    unmet: tuple[str, ...] = ()


@dataclass(slots=True)
class _Room:
    """Free engine slots while placing; how much each worker was given."""

    free: dict[str, int]
    given: dict[str, int] = field(default_factory=dict)

    def rank(self, worker: str) -> Rank:
        """The lower, the better a worker for the next shard."""
        return self.given.get(worker, 0), -self.free[worker], worker


def shard_count(activity: ActivityPlan, selected: int, *, needed: int = 0) -> int:
    """How many shards an activity is split into over `selected` workers; chaos and telemetry: hosts.

    `needed`: so many are there room for, and so many does the peak need by the hosts' calibration.
    """
    if not activity.needs_engine:
        return max(1, selected)
    if activity.shards is not None:
        return activity.shards
    if isinstance(activity.arrivals, OpenArrivals):
        useful = max(1, int(peak_per_s(activity.arrivals) / LEAST_PER_SHARD_PER_S))
        return max(1, min(max(selected, needed), useful))
    return max(1, min(max(selected, needed), activity.units))


def place_phase(
    activities: Sequence[ActivityPlan],
    fleet: Sequence[WorkerCard],
    *,
    busy: Mapping[str, int],
    seed: int,
    rules: Rules = ANYTHING_GOES,
    held_by: Mapping[str, Sequence[str]] = NOBODY,
) -> Placement:
    """Place every shard of a phase, or say what keeps it from being placed.

    `busy`: worker -> its slots that are taken; `held_by`: worker -> ids of the campaigns that took them.
    """
    room = _Room({card.worker: card.slots - busy.get(card.worker, 0) for card in fleet})
    assignments: list[Assignment] = []
    unmet: list[str] = []
    able = [select(one.where, fleet, seed=seed, activity=one.key, rules=rules) for one in activities]
    least = [
        shard_count(one, len(who)) if one.needs_engine else 0
        for one, who in zip(activities, able, strict=True)
    ]
    for place, (activity, selected) in enumerate(zip(activities, able, strict=True)):
        if not selected:
            unmet.append(nobody_fits(activity, fleet, rules))
            continue
        wants = _all_shards(activity, selected, room, kept=sum(least[place + 1 :]))
        taken = Taken(dict(room.free), sum(room.given.get(card.worker, 0) for card in selected), held_by)
        found = _place(activity, wants, selected, room)
        if len(found) < len(wants):
            unmet.append(
                too_few_slots(activity, len(wants), selected=selected, fleet=fleet, rules=rules, taken=taken)
            )
        assignments.extend(found)
    return Placement(unmet=tuple(unmet)) if unmet else Placement(tuple(assignments))


def _all_shards(
    activity: ActivityPlan, selected: Sequence[WorkerCard], room: _Room, *, kept: int
) -> list[Want]:
    """Every shard of an activity that has not been placed yet; `kept`: slots for those after it."""
    if activity.needs_engine:
        needed = min(shards_needed(activity, selected), engines_that_fit(selected, room.free) - kept)
        of = shard_count(activity, len(selected), needed=needed)
        return [Want(activity.key, shard, of) for shard in range(of)]
    hosts = sorted({card.host for card in selected})
    of = shard_count(activity, len(hosts))
    return [Want(activity.key, shard, of, host=host) for shard, host in enumerate(hosts)]


def place_again(
    activity: ActivityPlan,
    wants: Sequence[Want],
    fleet: Sequence[WorkerCard],
    *,
    busy: Mapping[str, int],
    seed: int,
    rules: Rules = ANYTHING_GOES,
) -> tuple[Assignment, ...]:
    """Places for shards that lost theirs, as far as there is room; the rest waits for a worker to come."""
    room = _Room({card.worker: card.slots - busy.get(card.worker, 0) for card in fleet})
    selected = select(activity.where, fleet, seed=seed, activity=activity.key, rules=rules)
    return tuple(_place(activity, wants, selected, room))


def _place(
    activity: ActivityPlan, wants: Sequence[Want], selected: Sequence[WorkerCard], room: _Room
) -> list[Assignment]:
    cards = (
        _by_slots(wants, selected, room) if activity.needs_engine else _by_hosts(activity, wants, selected)
    )
    return [
        Assignment(want.activity, want.shard, want.of, card.worker, card.incarnation, card.host)
        for want, card in cards
    ]


def _by_slots(
    wants: Sequence[Want], selected: Sequence[WorkerCard], room: _Room
) -> Iterator[tuple[Want, WorkerCard]]:
    """Each shard to the selected worker least loaded by this phase, while there are slots.

    One that failed this shard before only if no other has room.
    """
    cards = {card.worker: card for card in selected}
    heap = [room.rank(name) for name in cards if room.free[name] > 0]
    heapq.heapify(heap)
    for want in wants:
        passed: list[Rank] = []
        while heap and heap[0][-1] in want.avoid:
            passed.append(heapq.heappop(heap))
        best = heapq.heappop(heap) if heap else passed.pop(0) if passed else None
        for rank in passed:
            heapq.heappush(heap, rank)
        if best is None:
            return
        name = best[-1]
        room.given[name] = room.given.get(name, 0) + 1
        room.free[name] -= 1
        if room.free[name] > 0:
            heapq.heappush(heap, room.rank(name))
        yield want, cards[name]


def _by_hosts(
    activity: ActivityPlan, wants: Sequence[Want], selected: Sequence[WorkerCard]
) -> Iterator[tuple[Want, WorkerCard]]:
    """Each shard to its own host; a fault may go to another that no other shard of it has.

    Readings of another host would be other readings, and a fault done twice on one host another fault.
    """
    taken = {host for want in wants for host in want.taken}
    for want in wants:
        able = [card for card in selected if card.host == want.host]
        if not able and (activity.kind == "chaos" or not want.host):
            able = [card for card in selected if card.host not in taken]
        card = min(able, key=lambda card: (card.worker in want.avoid, card.worker), default=None)
        if card is not None:
            taken.add(card.host)
            yield want, card
