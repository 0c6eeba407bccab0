"""Shards and a fleet -> who runs what, or why it cannot: pure.

An engine kind takes a slot; chaos and telemetry need none, and are done once on each host. Placing is all or
nothing for a phase: a load that starts with half of its shards would be another load.
"""

import heapq
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.plan import LEAST_PER_SHARD_PER_S, ActivityPlan, Where
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


def select(where: Where, fleet: Sequence[WorkerCard], *, seed: int, activity: str) -> tuple[WorkerCard, ...]:
    """The workers that an activity's `where` means: ordered by name, cut by seed to `at_most` hosts."""
    fitting = sorted((card for card in fleet if not misses(where, card)), key=lambda card: card.worker)
    if where.at_most_hosts is None and where.at_most_share is None:
        return tuple(fitting)
    hosts = sorted({card.host for card in fitting})
    most = where.at_most_hosts
    if where.at_most_share is not None:
        most = max(1, math.floor(where.at_most_share * len(hosts)))
    chosen = set(random.Random(f"{seed}/{activity}").sample(hosts, min(most or 1, len(hosts))))
    return tuple(card for card in fitting if card.host in chosen)


def misses(where: Where, card: WorkerCard) -> list[str]:
    """What of `where` a worker does not meet, in plain words; empty where it fits."""
    missing = ["is draining"] if card.draining else []
    missing += [f"has no label {label}" for label in where.labels if label not in card.labels]
    if where.hosts and card.host not in where.hosts:
        missing.append(f"is on host {card.host}")
    if len(card.gpus) < where.gpus:
        missing.append(f"has {len(card.gpus)} of {where.gpus} GPUs")
    return missing


def shard_count(activity: ActivityPlan, selected: int) -> int:
    """How many shards an activity is split into over `selected` workers; chaos and telemetry: hosts."""
    if not activity.needs_engine:
        return max(1, selected)
    if activity.shards is not None:
        return activity.shards
    if isinstance(activity.arrivals, OpenArrivals):
        useful = max(1, int(peak_per_s(activity.arrivals) / LEAST_PER_SHARD_PER_S))
        return max(1, min(selected, useful))
    return max(1, min(selected, activity.units))


def place_phase(
    activities: Sequence[ActivityPlan],
    fleet: Sequence[WorkerCard],
    *,
    busy: Mapping[str, int],
    seed: int,
) -> Placement:
    """Place every shard of a phase, or say what keeps it from being placed."""
    room = _Room({card.worker: card.slots - busy.get(card.worker, 0) for card in fleet})
    assignments: list[Assignment] = []
    unmet: list[str] = []
    for activity in activities:
        selected = select(activity.where, fleet, seed=seed, activity=activity.key)
        if not selected:
            unmet.append(_nobody(activity, fleet))
            continue
        wants = _all_shards(activity, selected)
        of = len(wants)
        found = _place(activity, wants, selected, room)
        if len(found) < of:
            free = sum(max(0, room.free[card.worker]) for card in selected) + len(found)
            unmet.append(
                f"{activity.key}: {of} shards need {of} slots, {free} are free on {len(selected)} workers"
            )
        assignments.extend(found)
    return Placement(unmet=tuple(unmet)) if unmet else Placement(tuple(assignments))


def _all_shards(activity: ActivityPlan, selected: Sequence[WorkerCard]) -> list[Want]:
    """Every shard of an activity that has not been placed yet."""
    if activity.needs_engine:
        of = shard_count(activity, len(selected))
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
) -> tuple[Assignment, ...]:
    """Places for shards that lost theirs, as far as there is room; the rest waits for a worker to come."""
    room = _Room({card.worker: card.slots - busy.get(card.worker, 0) for card in fleet})
    return tuple(
        _place(activity, wants, select(activity.where, fleet, seed=seed, activity=activity.key), room)
    )


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


def _nobody(activity: ActivityPlan, fleet: Sequence[WorkerCard]) -> str:
    """Why no worker fits, and who came nearest."""
    need = activity.where.describe()
    if not fleet:
        return f"{activity.key}: no worker is alive (needs {need})"
    nearest = min(fleet, key=lambda card: (len(misses(activity.where, card)), card.worker))
    why = ", ".join(misses(activity.where, nearest))
    return f"{activity.key}: no worker with {need}; nearest is {nearest.worker}, which {why}"
