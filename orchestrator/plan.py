"""A campaign -> phases, activities, arrival schedules: what placement and decide work on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final

from orchestrator.campaign.composing import parts_of, span_of, steps_of
from orchestrator.campaign.fault_clients import clients_per_s
from orchestrator.campaign.layout import arrivals_of
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    FileData,
    GameDay,
    LoadActivity,
    Phase,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    Target,
    TelemetryActivity,
)
from orchestrator.campaign.models import Where as WhereModel
from orchestrator.campaign.watched import needs_of
from workers import protocols
from workers.chaos.contract import OnTheWay, build, kind_of
from workers.contract.addresses import address_of
from workers.contract.fault_steps import FaultStep
from workers.contract.files.traces import Trace
from workers.contract.kinds import resolve
from workers.contract.proxies import ProxyWant
from workers.contract.schedule import ClosedArrivals, OpenArrivals, peak_per_s
from workers.contract.spec import watch_key

MOST_IN_FLIGHT = 10_000
"""Default ceiling of `max_in_flight`: CAMPAIGN.md section 5."""
LEAST_PER_SHARD_PER_S = 10.0
"""`shards: auto` makes no shard with less than this: splitting finer buys nothing."""
UNREAD: Final[Mapping[str, Trace]] = MappingProxyType({})
"""No recorded arrivals, or nobody has read them."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which workers may run an activity; empty means any. `without`: labels that nobody on their host has.

    `workers`: these alone, by name, since what it needs stands on them.
    """

    labels: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    gpus: int = 0
    at_most_hosts: int | None = None
    at_most_share: float | None = None
    workers: tuple[str, ...] = ()

    def describe(self) -> str:
        """The need in plain words."""
        parts = [f"label {label}" for label in self.labels]
        parts += [f"host {' or '.join(self.hosts)}"] if self.hosts else []
        parts += [f"{self.gpus} or more GPUs"] if self.gpus else []
        parts += [f"a host without label {' or '.join(self.without)}"] if self.without else []
        parts += [f"worker {' or '.join(self.workers)}"] if self.workers else []
        return ", ".join(parts) or "any worker"


@dataclass(frozen=True, slots=True)
class ActivityPlan:
    """What has to be placed and timed of one activity.

    `key`: its name in reports. `units`: how many independent parts closed or regression work has (users,
    cases). `duration_s`: 0 where the length is not known beforehand. `at_s`, `for_s`: of its faults, from the
    first to the last (one-shot ones take no time). `fault`: their names. `steps`: what is done on each host.
    `apart`: no fault of it may come to a host that carries the campaign: a whole host feels it.
    `proxies`: that its faults need. `ends_with_data`: the load stops with its last row, should that come
    before its schedule's end.
    `streams`: its target answers token by token. `samples`: share of its requests that is kept one by one.
    `turns`: of each of its conversations, 0 where it holds none. `address`: HOST:PORT of its target; "" where
    it has none, or only a worker can tell. `clients_per_s`: the most that clients of its faults send.
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
    steps: tuple[FaultStep, ...] = ()
    apart: bool = False
    proxies: tuple[ProxyWant, ...] = ()
    ends_with_data: bool = False
    streams: bool = False
    samples: float = 0.0
    turns: int = 0
    address: str = ""
    clients_per_s: float = 0.0

    @property
    def is_load(self) -> bool:
        """Whether it offers a schedule of arrivals that SLOs over time are judged on."""
        return self.kind in ("load", "soak")


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """A phase and its activities, in the file's order; `watch`: of alerts and gauges beside them."""

    name: str
    requires: tuple[str, ...]
    activities: tuple[ActivityPlan, ...]
    watch: ActivityPlan | None = None

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
    gameday: GameDay | None = None

    @cached_property
    def _activities(self) -> dict[str, ActivityPlan]:
        watches = (phase.watch for phase in self.phases if phase.watch is not None)
        every = (activity for phase in self.phases for activity in phase.activities)
        return {activity.key: activity for activity in (*every, *watches)}

    def activity(self, key: str) -> ActivityPlan:
        """The activity with this report key."""
        return self._activities[key]

    def has(self, key: str) -> bool:
        """Whether it has such an activity; a journal that others wrote in may name any."""
        return key in self._activities

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
                watch=_watch_plan(phase, campaign),
            )
            for phase in campaign.phases
        ),
        place_within_s=campaign.place_within,
        fence_s=campaign.on_lost_coordinator,
        gameday=campaign.gameday,
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
    begins_s, ends_s = span_of(activity) if isinstance(activity, ChaosActivity) else (0.0, 0.0)
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
        at_s=begins_s,
        for_s=ends_s - begins_s,
        max_in_flight=_max_in_flight(activity, arrivals, campaign),
        fault=_fault(activity),
        steps=steps_of(activity, seed=seed, key=key) if isinstance(activity, ChaosActivity) else (),
        apart=_apart(activity),
        proxies=_proxies(activity),
        ends_with_data=isinstance(data, FileData) and data.at_end == "stop",
        streams=_streams(activity, campaign),
        clients_per_s=_clients_per_s(activity, campaign),
        samples=_samples(activity, campaign),
        turns=_turns(activity),
        address=_address(activity, campaign),
    )


def _watch_plan(phase: Phase, campaign: Campaign) -> ActivityPlan | None:
    """What watches a phase whose claims name alerts or gauges; any worker that can may do it."""
    if not needs_of(phase, campaign).any:
        return None
    key = watch_key(phase.name)
    return ActivityPlan(
        key=key,
        name=key.rpartition("/")[2],
        phase=phase.name,
        kind="watch",
        target=None,
        where=Where(),
        shards=1,
        needs_engine=False,
    )


def _address(activity: Activity, campaign: Campaign) -> str:
    target = campaign.targets.get(getattr(activity, "target", None) or "")
    return address_of(target.url) if isinstance(target, Target) and target.url else ""


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
    if not isinstance(activity, ChaosActivity):
        return Where() if where is None else _where_of(where, is_chaos=False)
    if where is not None:
        return replace(_where_of(where, is_chaos=True), without=campaign.protect)
    target = campaign.targets.get(activity.target or "")
    on_demo = getattr(target, "demo", None) is not None and not _is_client(activity)
    labels = ("model-server",) if on_demo else ()
    return Where(labels=labels, without=campaign.protect, at_most_hosts=1)


def _is_client(activity: ChaosActivity) -> bool:
    """Whether all that it does is traffic of ours, so that any worker can do it."""
    return all(kind_of(part.fault).client for part in parts_of(activity))


def _clients_per_s(activity: Activity, campaign: Campaign) -> float:
    """From all of its hosts, as far as their number is known."""
    if not isinstance(activity, ChaosActivity):
        return 0.0
    return clients_per_s(activity) * (_where(activity, campaign).at_most_hosts or 1)


def _fault(activity: Activity) -> str:
    """The names of its faults, each once, in the file's order."""
    parts = parts_of(activity) if isinstance(activity, ChaosActivity) else ()
    return ", ".join(dict.fromkeys(part.fault for part in parts))


def _apart(activity: Activity) -> bool:
    if not isinstance(activity, ChaosActivity) or activity.on_generators:
        return False
    return any(kind_of(part.fault).wide for part in parts_of(activity))


def _proxies(activity: Activity) -> tuple[ProxyWant, ...]:
    """The proxies that have to stand for its faults, each once."""
    found: list[ProxyWant] = []
    for part in parts_of(activity) if isinstance(activity, ChaosActivity) else ():
        fault = build(part.fault, dict(part.options))
        if isinstance(fault, OnTheWay):
            found.append(fault.proxy())
    return tuple(dict.fromkeys(found))


def _where_of(where: WhereModel, *, is_chaos: bool) -> Where:
    hosts = where.at_most if isinstance(where.at_most, int) else None
    share = where.at_most if isinstance(where.at_most, float) else None
    if where.at_most is None and is_chaos:
        hosts = 1
    return Where(
        labels=where.label, hosts=where.host, gpus=where.gpus, at_most_hosts=hosts, at_most_share=share
    )
