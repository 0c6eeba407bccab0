"""What a campaign would do, said before anything runs: the typed answer behind `shakeout plan`. Pure.

Nothing here is an error: what an assumed fleet lacks, and what this version cannot run, is listed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.campaign.checks.walk import observed
from orchestrator.campaign.models import Activity, Campaign, ChaosActivity, Phase, SearchActivity, Target
from orchestrator.decide.placing import RESUME_MARGIN_S
from orchestrator.placement.capacity import good_to, words_of
from orchestrator.placement.eligible import Standing, select_for
from orchestrator.placement.placement import Assignment, Placement, place_phase
from orchestrator.placement.spared import sparing
from orchestrator.plan import UNREAD, ActivityPlan, PhasePlan, Plan, plan_of
from orchestrator.preview.aimed import FaultPreview, fault_previews
from orchestrator.preview.attended import Attended, WatchPreview, attended_of, waits_for, watched_of
from orchestrator.preview.beside import Beside
from orchestrator.preview.decidable import Judged, SloPreview, level_preview, slo_preview
from orchestrator.preview.offered import Offer, offer_of, rates
from orchestrator.preview.unfinished import unfinished
from workers.contract.broker.names import FENCE_MARGIN_S, LEASE_S
from workers.contract.calibration import Calibration
from workers.contract.facts import WorkerCard
from workers.contract.files.traces import Trace
from workers.contract.schedule import OpenArrivals

COLUMNS: Final = 60
"""Points of a phase's rate chart."""
HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """How many shards of an activity a worker runs, and the highest rate that they offer together."""

    worker: str
    host: str
    shards: int
    peak_per_s: float | None


@dataclass(frozen=True, slots=True)
class ActivityPreview:
    """One activity; `duration_s`: None where only the run can tell. `requests`: exact or expected.

    `good_to`: up to which peak its engines keep up, as calibrated: per second, of a closed loop streams at
    once; None where that is not known.
    """

    key: str
    kind: str
    target: str | None
    shards: int
    workers: tuple[WorkerShare, ...]
    duration_s: float | None
    warmup_s: float
    requests: float | None
    requests_exact: bool
    requests_in_warmup: float
    peak_per_s: float | None
    max_in_flight: int
    lost_worker_gap_s: float
    lost_worker_requests: float | None
    note: str
    good_to: float | None = None


@dataclass(frozen=True, slots=True)
class PhasePreview:
    """One phase. `starts_s`: since the campaign's start, placing and cases not counted.

    `rates_per_s`: means of equal parts of its schedule. `waits_for`: an approval, in words.
    """

    name: str
    requires: tuple[str, ...]
    starts_s: float
    duration_s: float
    duration_is_known: bool
    requests: float
    requests_exact: bool
    rates_per_s: tuple[float, ...]
    activities: tuple[ActivityPreview, ...]
    faults: tuple[FaultPreview, ...]
    unmet: tuple[str, ...]
    waits_for: str


@dataclass(frozen=True, slots=True)
class CostPreview:
    """What the target's machines cost while the phases last; energy comes on top. `amount` in `currency`."""

    amount: float
    currency: str
    machines: int
    hours: float


@dataclass(frozen=True, slots=True)
class Preview:
    """A whole campaign; `requests` leaves out what only the run can tell, and is not exact then.

    `lost_worker_gap_s`: for how long nobody offers the arrivals of a worker that is lost. `fleet_is_live`:
    the workers are there, not assumed; `slots_taken`: of them, by other campaigns. `unmet`: needs that they
    do not meet. `unfinished`: parses and plans, does not run in this version. `attended`: people's part.
    """

    campaign: str
    seed: int
    duration_s: float
    duration_is_known: bool
    requests: float
    requests_exact: bool
    lost_worker_gap_s: float
    phases: tuple[PhasePreview, ...]
    slos: tuple[SloPreview, ...]
    cost: CostPreview | None
    fleet: tuple[WorkerCard, ...]
    fleet_is_live: bool
    slots_taken: int
    unmet: tuple[str, ...]
    unfinished: tuple[str, ...]
    beside: Beside | None = None
    attended: Attended | None = None
    watched: tuple[WatchPreview, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every phase is planned on."""

    campaign: Campaign
    plan: Plan
    fleet: Sequence[WorkerCard]
    standing: Standing
    cases: Mapping[str, int]


def preview_of(
    campaign: Campaign,
    *,
    seed: int,
    fleet: Sequence[WorkerCard],
    cases: Mapping[str, int],
    standing: Standing | None = None,
    traces: Mapping[str, Trace] = UNREAD,
) -> Preview:
    """What the campaign would do on a fleet. `cases`: activity key -> golden cases, repeats included.

    `standing`: of a live fleet; None where the fleet is assumed. `traces`: activity key -> its recorded
    arrivals, whose times the caller holds.
    """
    plan = plan_of(campaign, seed=seed, traces=traces)
    ground = _Ground(campaign, plan, fleet, standing or Standing(), cases)
    phases: list[PhasePreview] = []
    starts_s = 0.0
    for model, phase in zip(campaign.phases, plan.phases, strict=True):
        phases.append(_phase(model, phase, ground, starts_s=starts_s))
        starts_s += phases[-1].duration_s
    return Preview(
        campaign=campaign.campaign,
        seed=seed,
        duration_s=starts_s,
        duration_is_known=all(one.duration_is_known for one in phases),
        requests=sum(one.requests for one in phases),
        requests_exact=all(one.requests_exact for one in phases),
        lost_worker_gap_s=lost_worker_gap_s(plan),
        phases=tuple(phases),
        slos=tuple(
            slo
            for model, phase in zip(campaign.phases, plan.phases, strict=True)
            for slo in _slos(model, phase, campaign, cases)
        ),
        cost=_cost(campaign, starts_s),
        fleet=tuple(fleet),
        fleet_is_live=standing is not None,
        slots_taken=sum(ground.standing.busy.get(card.worker, 0) for card in fleet),
        unmet=tuple(f"{one.name}: {unmet}" for one in phases for unmet in one.unmet),
        unfinished=(*unfinished(campaign), *(_demos(campaign) if standing is not None else ())),
        attended=attended_of(campaign),
        watched=watched_of(campaign),
    )


def assumed_fleet(
    campaign: Campaign,
    *,
    workers: int,
    slots: int,
    host: str,
    calibration: Calibration | None = None,
) -> tuple[WorkerCard, ...]:
    """The workers that `run` would start on this machine; the first is on the demo target's host."""
    on_demo = any(isinstance(one, Target) and one.demo is not None for one in campaign.targets.values())
    return tuple(
        WorkerCard(
            worker=f"local-{number}",
            incarnation="assumed",
            host=host,
            version="",
            slots=slots,
            labels=("model-server",) if number == 1 and on_demo else (),
            cores=calibration.cores if calibration is not None else 0,
            calibration=calibration,
        )
        for number in range(1, workers + 1)
    )


def lost_worker_gap_s(plan: Plan) -> float:
    """The longest time in which nobody offers what a lost worker should have.

    Its engines may send until the fence, counted from their last renewed lease; a successor begins after it,
    and not before the loss was seen.
    """
    return max(plan.fence_s + FENCE_MARGIN_S, LEASE_S + RESUME_MARGIN_S)


def _place(activities: Sequence[ActivityPlan], ground: _Ground) -> Placement:
    return place_phase(
        activities,
        ground.fleet,
        busy=ground.standing.busy,
        seed=ground.plan.seed,
        rules=ground.standing.rules,
        held_by=ground.standing.held_by,
    )


def _phase(model: Phase, phase: PhasePlan, ground: _Ground, *, starts_s: float) -> PhasePreview:
    plan, campaign, cases = ground.plan, ground.campaign, ground.cases
    placed: dict[str, list[Assignment]] = {}
    unmet = _place(phase.activities, ground).unmet
    # a phase is placed whole or not at all; who would run the rest of it is worth knowing all the same
    rules = ground.standing.rules
    fitting = [
        one
        for one in phase.activities
        if select_for(one, ground.fleet, seed=plan.seed, rules=sparing(one, ground.fleet, rules))
    ]
    calm = [one for one in fitting if not one.apart]
    for assignment in _place(fitting, ground).assignments or _place(calm, ground).assignments:
        placed.setdefault(assignment.activity, []).append(assignment)
    pairs = list(zip(model.activities, phase.activities, strict=True))
    activities = tuple(
        _activity(
            one,
            planned,
            plan,
            placed=placed.get(planned.key, []),
            cases=cases.get(planned.key),
            cards={card.worker: card for card in ground.fleet},
        )
        for one, planned in pairs
        if not isinstance(one, ChaosActivity)
    )
    faults = tuple(
        fault
        for one, planned in pairs
        if isinstance(one, ChaosActivity)
        for fault in fault_previews(
            one, planned, model, campaign=campaign, workers=placed.get(planned.key, [])
        )
    )
    schedules = [
        (one.arrivals, max(1, one.turns))
        for one in phase.activities
        if isinstance(one.arrivals, OpenArrivals)
    ]
    charted = bool(schedules) and phase.duration_s > 0
    curve = rates(schedules, length_s=phase.duration_s, columns=COLUMNS) if charted else ()
    known = [one.requests for one in activities if one.requests is not None]
    return PhasePreview(
        name=phase.name,
        requires=phase.requires,
        starts_s=starts_s,
        duration_s=phase.duration_s,
        duration_is_known=all(one.duration_s is not None for one in activities),
        requests=sum(known),
        requests_exact=len(known) == len(activities) and all(one.requests_exact for one in activities),
        rates_per_s=curve,
        activities=activities,
        faults=faults,
        unmet=unmet,
        waits_for=waits_for(campaign, phase.name),
    )


def _activity(
    model: Activity,
    activity: ActivityPlan,
    plan: Plan,
    *,
    placed: list[Assignment],
    cases: int | None,
    cards: Mapping[str, WorkerCard],
) -> ActivityPreview:
    offer = offer_of(activity, model, cases=cases)
    shards = placed[0].of if placed else activity.shards or 1
    gap_s = lost_worker_gap_s(plan) if activity.is_load else 0.0
    workers = _shares(placed, offer, shards)
    ran_by = [cards[one.worker] for one in placed if one.worker in cards]
    notes = (offer.note, words_of(activity, ran_by))
    return ActivityPreview(
        key=activity.key,
        kind=activity.kind,
        target=activity.target,
        shards=shards,
        workers=workers,
        duration_s=_duration_s(model, activity),
        warmup_s=activity.warmup_s,
        requests=offer.requests,
        requests_exact=offer.exact,
        requests_in_warmup=offer.in_warmup,
        peak_per_s=offer.peak_per_s,
        max_in_flight=activity.max_in_flight,
        lost_worker_gap_s=gap_s,
        lost_worker_requests=_lost_requests(offer, workers, shards, gap_s=gap_s),
        note="; ".join(filter(None, notes)),
        good_to=good_to(activity, ran_by) if activity.is_load else None,
    )


def _lost_requests(
    offer: Offer, workers: tuple[WorkerShare, ...], shards: int, *, gap_s: float
) -> float | None:
    """Most requests that the worker with most shards has in `gap_s`, and never more than it has at all."""
    largest = max((one.shards for one in workers), default=0)
    if not (offer.peak_per_s and largest and gap_s):
        return None
    missed = gap_s * offer.peak_per_s
    return (missed if offer.requests is None else min(missed, offer.requests)) * largest / shards


def _shares(placed: list[Assignment], offer: Offer, shards: int) -> tuple[WorkerShare, ...]:
    counts: dict[tuple[str, str], int] = {}
    for assignment in placed:
        place = (assignment.worker, assignment.host)
        counts[place] = counts.get(place, 0) + 1
    peak = offer.peak_per_s
    return tuple(
        WorkerShare(worker, host, count, None if peak is None else peak * count / shards)
        for (worker, host), count in sorted(counts.items())
    )


def _duration_s(model: Activity, activity: ActivityPlan) -> float | None:
    """How long it lasts; telemetry without a length lasts as long as its phase, which others decide."""
    if model.kind == "telemetry":
        return activity.duration_s
    return activity.duration_s or None


def _slos(model: Phase, phase: PhasePlan, campaign: Campaign, cases: Mapping[str, int]) -> list[SloPreview]:
    found: list[SloPreview] = []
    for one, planned in zip(model.activities, phase.activities, strict=True):
        offered = offer_of(planned, one, cases=cases.get(planned.key)).requests
        judged = Judged(planned, phase, cases=offered if planned.kind == "regression" else None)
        standing = (*getattr(one, "slos", ()), *(campaign.slos if planned.is_load else ()))
        found += [slo_preview(slo, judged, place="slos") for slo in standing]
        if isinstance(one, SearchActivity):
            held_s = one.step - one.settle
            low = one.between[0] if one.find == "max rate" else 0.0
            found += [
                level_preview(slo, activity=planned.key, least_per_s=low, held_s=held_s) for slo in one.while_
            ]
        if isinstance(one, ChaosActivity):
            found += _expected(one, planned, model, phase)
    return found


def _expected(
    chaos: ChaosActivity, planned: ActivityPlan, model: Phase, phase: PhasePlan
) -> list[SloPreview]:
    """A fault's expectations on each activity that it observes."""
    names = {one.name for one in observed(model, chaos)}
    watching = [one for one in phase.activities if one.is_load and one.name in names]
    return [
        slo_preview(slo, Judged(one, phase), place="expect", fault=planned)
        for slo in chaos.expect
        for one in watching
    ]


def _cost(campaign: Campaign, duration_s: float) -> CostPreview | None:
    if campaign.prices is None:
        return None
    prices, hours = campaign.prices, duration_s / HOUR_S
    return CostPreview(prices.machine_hour * prices.machines * hours, prices.currency, prices.machines, hours)


def _demos(campaign: Campaign) -> Iterator[str]:
    """Targets that only `run` starts."""
    for name, target in campaign.targets.items():
        if isinstance(target, Target) and target.demo is not None:
            yield f"targets.{name}: demo (on a fleet; say --set targets.{name}.url=http://HOST:PORT)"
