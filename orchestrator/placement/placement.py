"""Shards and a fleet -> who runs what, or why it cannot: pure.

An engine kind takes a slot; chaos and telemetry need none, and are done once on each host. Placing is all or
nothing for a phase: a load that starts with half of its shards would be another load.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.placement.capacity import engines_that_fit, shards_needed, too_small
from orchestrator.placement.eligible import (
    ANYTHING_GOES,
    NOBODY,
    Rules,
    Taken,
    nobody_fits,
    select_for,
    too_few_slots,
)  # fmt: skip
from orchestrator.placement.spared import NOTHING, Occupied, occupied, sparing
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
    beside: Occupied = NOTHING,
) -> Placement:
    """Place every shard of a phase, or say what keeps it from being placed.

    `busy`: worker -> its slots that are taken; `held_by`: worker -> ids of the campaigns that took them.
    `beside`: what goes on on the hosts already.
    """
    room = _Room({card.worker: card.slots - busy.get(card.worker, 0) for card in fleet})
    assignments: list[Assignment] = []
    unmet: list[str] = []
    activities = sorted(activities, key=lambda one: one.apart)  # they keep away from where load is placed
    able = {
        one.key: select_for(one, fleet, seed=seed, rules=sparing(one, fleet, rules, beside=beside))
        for one in activities
        if one.needs_engine
    }
    least = [shard_count(one, len(able[one.key])) if one.needs_engine else 0 for one in activities]
    for place, activity in enumerate(activities):
        own = sparing(activity, fleet, rules, beside=beside | _doing(assignments, activities))
        selected = able.get(activity.key) or select_for(activity, fleet, seed=seed, rules=own)
        if not selected:
            unmet.append(nobody_fits(activity, fleet, own))
            continue
        wants, large, small = _all_shards(activity, selected, room, kept=sum(least[place + 1 :]), rules=own)
        taken = Taken(dict(room.free), sum(room.given.get(card.worker, 0) for card in large), held_by)
        found = _place(activity, wants, large, room)
        if len(found) < len(wants):
            unmet.append(
                too_few_slots(
                    activity,
                    len(wants),
                    selected=large,
                    fleet=fleet,
                    rules=own,
                    taken=taken,
                    small=tuple(small.values()),
                )
            )
        assignments.extend(found)
    return Placement(unmet=tuple(unmet)) if unmet else Placement(tuple(assignments))


_Split = tuple[list[Want], Sequence[WorkerCard], Mapping[str, str]]
"""Shards, the workers whose slots are large enough for one, and why those of the others are not."""


def _all_shards(
    activity: ActivityPlan, selected: Sequence[WorkerCard], room: _Room, *, kept: int, rules: Rules
) -> _Split:
    """Every shard of an activity that has not been placed yet; `kept`: slots for those after it.

    `shards: auto` is made anew without the workers that are too small, so that the larger ones carry it.
    """
    if not activity.needs_engine:
        hosts = sorted({card.host for card in selected})
        of = shard_count(activity, len(hosts))
        return [Want(activity.key, shard, of, host=host) for shard, host in enumerate(hosts)], selected, {}
    large, small = list(selected), dict[str, str]()
    while True:
        needed = min(shards_needed(activity, large), engines_that_fit(large, room.free) - kept)
        of = shard_count(activity, len(large), needed=needed)
        found = too_small(activity, of, large, rules)
        small |= found
        large = [card for card in large if card.worker not in found]
        if not found or not large or activity.shards is not None:
            return [Want(activity.key, shard, of) for shard in range(of)], large, small


def place_again(
    activity: ActivityPlan,
    wants: Sequence[Want],
    fleet: Sequence[WorkerCard],
    *,
    busy: Mapping[str, int],
    seed: int,
    rules: Rules = ANYTHING_GOES,
    beside: Occupied = NOTHING,
) -> tuple[Assignment, ...]:
    """Places for shards that lost theirs, as far as there is room; the rest waits for a worker to come.

    `beside`: what goes on on the hosts.
    """
    rules = sparing(activity, fleet, rules, beside=beside)
    room = _Room({card.worker: card.slots - busy.get(card.worker, 0) for card in fleet})
    selected = select_for(activity, fleet, seed=seed, rules=rules)
    small = too_small(activity, wants[0].of, selected, rules) if wants else {}
    large = [card for card in selected if card.worker not in small] if small else selected
    return tuple(_place(activity, wants, large, room))


def _doing(assignments: Sequence[Assignment], activities: Sequence[ActivityPlan]) -> Occupied:
    by_key = {one.key: one for one in activities}
    return occupied((by_key[one.activity], one.host) for one in assignments)


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
