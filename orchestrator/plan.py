"""A campaign -> phases, activities, arrival schedules: what placement and decide work on. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

from orchestrator.campaign.models import (
    Activity,
    Arrivals,
    Campaign,
    ChaosActivity,
    FileData,
    LoadActivity,
    Phase,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    Target,
    TelemetryActivity,
)
from orchestrator.campaign.models import Where as WhereModel
from workers import chaos, protocols
from workers.contract.kinds import resolve
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment, peak_per_s, recorded
from workers.contract.traces import Trace

MOST_IN_FLIGHT = 10_000
"""Default ceiling of `max_in_flight`: CAMPAIGN.md section 5."""
LEAST_PER_SHARD_PER_S = 10.0
"""`shards: auto` makes no shard with less than this: splitting finer buys nothing."""
UNREAD: Final[Mapping[str, Trace]] = MappingProxyType({})
"""No recorded arrivals, or nobody has read them."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which workers may run an activity; empty means any."""

    labels: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    gpus: int = 0
    at_most_hosts: int | None = None
    at_most_share: float | None = None

    def describe(self) -> str:
        """The need in plain words."""
        parts = [f"label {label}" for label in self.labels]
        parts += [f"host {' or '.join(self.hosts)}"] if self.hosts else []
        parts += [f"{self.gpus} or more GPUs"] if self.gpus else []
        return ", ".join(parts) or "any worker"


@dataclass(frozen=True, slots=True)
class ActivityPlan:
    """What has to be placed and timed of one activity.

    `key`: its name in reports. `units`: how many independent parts closed or regression work has (users,
    cases). `duration_s`: 0 where the length is not known beforehand. `at_s`, `for_s`: of a fault.
    `ends_with_data`: the load stops with its last row, should that come before its schedule's end.
    `streams`: its target answers token by token. `samples`: share of its requests that is kept one by one.
    `turns`: of each of its conversations, 0 where it holds none.
    """

    key: str
    name: str
    phase: str
    kind: str
    target: str | None
    where: Where
    shards: int | None
    needs_engine: bool
    arrivals: OpenArrivals | ClosedArrivals | None = None
    warmup_s: float = 0.0
    duration_s: float = 0.0
    units: int = 1
    at_s: float = 0.0
    for_s: float = 0.0
    max_in_flight: int = 0
    fault: str = ""
    ends_with_data: bool = False
    streams: bool = False
    samples: float = 0.0
    turns: int = 0

    @property
    def is_load(self) -> bool:
        """Whether it offers a schedule of arrivals that SLOs over time are judged on."""
        return self.kind in ("load", "soak")


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """A phase and its activities, in the file's order."""

    name: str
    requires: tuple[str, ...]
    activities: tuple[ActivityPlan, ...]

    @property
    def duration_s(self) -> float:
        """How long its schedule runs; regression adds what it takes."""
        return max((one.duration_s for one in self.activities), default=0.0)


@dataclass(frozen=True)
class Plan:
    """A whole campaign, planned."""

    campaign: str
    seed: int
    phases: tuple[PhasePlan, ...]
    place_within_s: float
    fence_s: float

    @cached_property
    def _activities(self) -> dict[str, ActivityPlan]:
        return {activity.key: activity for phase in self.phases for activity in phase.activities}

    def activity(self, key: str) -> ActivityPlan:
        """The activity with this report key."""
        return self._activities[key]

    def phase(self, name: str) -> PhasePlan:
        """The phase with this name."""
        return next(phase for phase in self.phases if phase.name == name)


def plan_of(campaign: Campaign, *, seed: int, traces: Mapping[str, Trace] = UNREAD) -> Plan:
    """Plan a checked campaign; the same campaign, seed and traces always give the same plan.

    `traces`: activity key -> its recorded arrivals; how long one that is not among them lasts is not known.
    """
    keys = activity_keys(campaign)
    return Plan(
        campaign=campaign.campaign,
        seed=seed,
        phases=tuple(
            PhasePlan(
                name=phase.name,
                requires=phase.requires,
                activities=tuple(
                    _activity_plan(
                        activity,
                        phase=phase,
                        key=keys[phase.name, activity.name],
                        campaign=campaign,
                        seed=seed,
                        trace=traces.get(keys[phase.name, activity.name]),
                    )
                    for activity in phase.activities
                ),
            )
            for phase in campaign.phases
        ),
        place_within_s=campaign.place_within,
        fence_s=campaign.on_lost_coordinator,
    )


def activity_keys(campaign: Campaign) -> dict[tuple[str, str], str]:
    """(phase, activity) -> its key in the report.

    The name, or `phase/name` for a name used in several phases.
    """
    names = [activity.name for phase in campaign.phases for activity in phase.activities]
    return {
        (phase.name, activity.name): activity.name
        if names.count(activity.name) == 1
        else f"{phase.name}/{activity.name}"
        for phase in campaign.phases
        for activity in phase.activities
    }


def _activity_plan(  # each decides a part of it
    activity: Activity, *, phase: Phase, key: str, campaign: Campaign, seed: int, trace: Trace | None
) -> ActivityPlan:
    arrivals = None
    duration_s = 0.0
    units = 1
    data = getattr(activity, "data", None)
    if isinstance(activity, LoadActivity | SoakActivity):
        arrivals = arrivals_of(activity, key=key, seed=seed, trace=trace)
        duration_s = arrivals.duration_s if arrivals is not None else activity.duration or 0.0
        units = arrivals.users if isinstance(arrivals, ClosedArrivals) else 1
    if isinstance(activity, RegressionActivity):
        units = activity.concurrency
    if isinstance(activity, SearchActivity):
        units = _units_of_search(activity)
    if isinstance(activity, TelemetryActivity) and activity.duration is not None:
        duration_s = activity.duration
    return ActivityPlan(
        key=key,
        name=activity.name,
        phase=phase.name,
        kind=activity.kind,
        target=getattr(activity, "target", None),
        where=_where(activity, campaign),
        shards=_shards(activity),
        needs_engine=isinstance(activity, LoadActivity | SoakActivity | RegressionActivity | SearchActivity),
        arrivals=arrivals,
        warmup_s=getattr(activity, "warmup", 0.0),
        duration_s=duration_s,
        units=units,
        at_s=getattr(activity, "at", 0.0),
        for_s=getattr(activity, "for_", None) or 0.0,
        max_in_flight=_max_in_flight(activity, arrivals, campaign),
        fault=getattr(activity, "fault", None) or "",
        ends_with_data=isinstance(data, FileData) and data.at_end == "stop",
        streams=_streams(activity, campaign),
        samples=_samples(activity, campaign),
        turns=_turns(activity),
    )


def _turns(activity: Activity) -> int:
    return (
        activity.sessions.turns
        if isinstance(activity, LoadActivity | SoakActivity) and activity.sessions
        else 0
    )


def _samples(activity: Activity, campaign: Campaign) -> float:
    """Share of its requests that is kept: the activity's own, else the campaign's; of a locustfile none."""
    if not isinstance(activity, LoadActivity | SoakActivity | SearchActivity):
        return 0.0
    if getattr(activity, "locustfile", None) is not None:
        return 0.0
    return campaign.samples if activity.samples is None else activity.samples


def _streams(activity: Activity, campaign: Campaign) -> bool:
    target = campaign.targets.get(getattr(activity, "target", None) or "")
    if not isinstance(target, Target) or not target.stream:
        return False
    return bool(getattr(resolve("workers.protocols", protocols.TABLE, target.protocol), "streams", False))


def _units_of_search(activity: SearchActivity) -> int:
    """Into how many shards its highest level is worth splitting: users, or tens of requests per second."""
    high = activity.between[1]
    return max(1, int(high if activity.find == "max concurrency" else high / LEAST_PER_SHARD_PER_S))


def _shards(activity: Activity) -> int | None:
    asked = (
        activity.batches if isinstance(activity, RegressionActivity) else getattr(activity, "shards", "auto")
    )
    return asked if isinstance(asked, int) else None


def _max_in_flight(
    activity: Activity, arrivals: OpenArrivals | ClosedArrivals | None, campaign: Campaign
) -> int:
    """The activity's ceiling: as written, else min(peak rate × timeout, 10,000)."""
    asked = getattr(activity, "max_in_flight", None)
    if asked is not None:
        return int(asked)
    if isinstance(arrivals, ClosedArrivals):
        return arrivals.users
    if arrivals is None or not isinstance(activity, LoadActivity | SoakActivity):
        return 0
    target = campaign.targets[activity.target]
    assert isinstance(target, Target)  # noqa: S101  # no activity may name a monitor: checked when read
    at_once = peak_per_s(arrivals) * target.timeout * max(1, _turns(activity))
    return max(1, min(round(at_once), MOST_IN_FLIGHT))


def _where(activity: Activity, campaign: Campaign) -> Where:
    """An activity's `where`; a fault on the demo target goes to the host that runs it."""
    where = activity.where
    if where is None:
        target = campaign.targets.get(getattr(activity, "target", None) or "")
        on_demo = isinstance(activity, ChaosActivity) and getattr(target, "demo", None) is not None
        if on_demo and not _is_client(activity):
            return Where(labels=("model-server",), at_most_hosts=1)
        return Where(at_most_hosts=1) if isinstance(activity, ChaosActivity) else Where()
    return _where_of(where, is_chaos=isinstance(activity, ChaosActivity))


def _is_client(activity: Activity) -> bool:
    """Whether a fault is done by traffic of ours, so that any worker can do it."""
    fault = getattr(activity, "fault", None)
    return fault is not None and bool(getattr(resolve("workers.chaos", chaos.TABLE, fault), "client", False))


def _where_of(where: WhereModel, *, is_chaos: bool) -> Where:
    hosts = where.at_most if isinstance(where.at_most, int) else None
    share = where.at_most if isinstance(where.at_most, float) else None
    if where.at_most is None and is_chaos:
        hosts = 1
    return Where(
        labels=where.label, hosts=where.host, gpus=where.gpus, at_most_hosts=hosts, at_most_share=share
    )


def arrivals_of(
    activity: LoadActivity | SoakActivity, *, key: str, seed: int, trace: Trace | None = None
) -> OpenArrivals | ClosedArrivals | None:
    """The activity's arrival process with its stages and ramps laid out in time.

    `trace`: what was recorded; None for an activity that replays a trace which nobody has read.
    """
    wanted = activity.arrivals
    if wanted.process == "trace":
        return None if trace is None else recorded(trace, stream=key)
    if wanted.process == "closed":
        assert wanted.users is not None  # noqa: S101  # checked when the file was read
        return ClosedArrivals(
            users=wanted.users,
            think_s=wanted.think,
            duration_s=activity.duration or 0.0,
            ramp_s=wanted.ramp,
        )
    segments = tuple(_segments(wanted, activity.duration))
    return OpenArrivals(
        process=wanted.process,
        segments=segments,
        seed=seed,
        stream=key,
        burstiness=wanted.burstiness or 1.0,
    )


def _segments(arrivals: Arrivals, duration_s: float | None) -> Iterator[Segment]:
    """Spans of linear rate: a ramp from the rate before (at first 0), then the plateau."""
    if not arrivals.stages:
        rate, length = arrivals.rate or 0.0, duration_s or 0.0
        yield from _stage(0.0, length, ramp_s=arrivals.ramp or 0.0, before=0.0, rate=rate, name="")
        return
    at_s, before = 0.0, 0.0
    for stage in arrivals.stages:
        yield from _stage(
            at_s, stage.for_, ramp_s=stage.ramp, before=before, rate=stage.rate, name=stage.name or ""
        )
        at_s += stage.for_
        before = stage.rate


def _stage(
    at_s: float, length_s: float, *, ramp_s: float, before: float, rate: float, name: str
) -> Iterator[Segment]:
    ramp_s = min(ramp_s, length_s)
    if ramp_s > 0:
        yield Segment(at_s, at_s + ramp_s, before, rate, name)
    if length_s > ramp_s:
        yield Segment(at_s + ramp_s, at_s + length_s, rate, rate, name)
