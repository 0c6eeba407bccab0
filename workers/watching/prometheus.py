"""Prometheus as a source: how its alerts stand, when they fired, and how often their rules are evaluated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from workers.watching.contract import AlertReading, AlertState, UnreadError, Value
from workers.watching.fetch import Place, Reply, fetch
from workers.watching.monitor_clock import MonitorClock

NAME: Final = "prometheus"
RULES_EVERY_S: Final = 15.0
"""Rules change seldom and are large; they are read at once where an alert has changed."""
CLOCK_EVERY_S: Final = 10.0
_Body = TypeVar("_Body")
_EARLY: Final = 1e-6
"""A `for` of exactly so many evaluations is not one more."""


class Alert(msgspec.Struct, frozen=True):
    """One series of an alert, as `/api/v1/alerts` and `/api/v1/rules` have it."""

    labels: dict[str, str] = {}
    state: str = "inactive"
    activeAt: str = ""  # noqa: N815  # Prometheus's own name


class Rule(msgspec.Struct, frozen=True):
    """An alerting rule; `duration`: its `for`, seconds."""

    name: str = ""
    duration: float = 0.0
    lastEvaluation: str = ""  # noqa: N815


class _Group(msgspec.Struct, frozen=True):
    interval: float = 0.0
    rules: tuple[Rule, ...] = ()


class _Alerts(msgspec.Struct, frozen=True):
    alerts: tuple[Alert, ...] = ()


class _Rules(msgspec.Struct, frozen=True):
    groups: tuple[_Group, ...] = ()


class _Time(msgspec.Struct, frozen=True):
    result: tuple[float, str]


class _AlertsBody(msgspec.Struct, frozen=True):
    data: _Alerts


class _RulesBody(msgspec.Struct, frozen=True):
    data: _Rules


class _TimeBody(msgspec.Struct, frozen=True):
    data: _Time


@dataclass(frozen=True, slots=True)
class KnownRule:
    """What is known of an alert's rule; times of Prometheus's clock."""

    for_s: float
    every_s: float
    evaluated_s: float


@dataclass(slots=True)
class PrometheusSource:
    """Asked about the alerts `names`; `uncertainty_s()` is that of the worker's own clock."""

    place: Place
    names: tuple[str, ...]
    clock: MonitorClock = field(default_factory=MonitorClock)
    rules: dict[str, KnownRule] = field(default_factory=dict)
    states: dict[str, AlertState] = field(default_factory=dict)
    rules_read_s: float = -math.inf
    clock_read_s: float = -math.inf

    @property
    def name(self) -> str:
        """As facts call it."""
        return NAME

    @property
    def series(self) -> tuple[str, ...]:
        """Whether it answered."""
        return (NAME,)

    def poll(self) -> Sequence[AlertReading | Value]:
        """How each alert stands. Raises UnreadError."""
        now_s = self.place.clock()
        if now_s - self.clock_read_s >= CLOCK_EVERY_S:
            self._read_clock()
            self.clock_read_s = now_s
        reply = fetch(self.place, "/api/v1/alerts")
        found = by_name(read_alerts(reply.body, self.place.shown), self.names)
        states = {name: state_of(found[name]) for name in self.names}
        if states != self.states or now_s - self.rules_read_s >= RULES_EVERY_S:
            query = "".join(f"&rule_name[]={name}" for name in self.names)
            body = fetch(self.place, f"/api/v1/rules?type=alert{query}").body
            self.rules = read_rules(body, self.names, self.place.shown)
            self.rules_read_s, self.states = now_s, states
        return (Value(NAME, 1.0), *(self._reading(name, found[name], reply) for name in self.names))

    def _reading(self, name: str, series: Sequence[Alert], reply: Reply) -> AlertReading:
        rule = self.rules.get(name)
        state = state_of(series) if series or rule is not None else "absent"
        at_s = self.clock.common
        active = [moment(one.activeAt) for one in series]
        firing = [fired_s(moment(one.activeAt), rule) for one in series if one.state == "firing"]
        latest_s = reply.came_s + self.clock.offset_s
        return AlertReading(
            alert=name,
            state=state,
            looked_s=reply.sent_s,
            active_s=at_s(min(active, default=0.0)),
            fired_s=at_s(min((*firing, latest_s))) if firing else 0.0,
            ended_s=0.0 if firing else at_s(rule.evaluated_s if rule is not None else 0.0),
            for_s=rule.for_s if rule is not None else 0.0,
            every_s=rule.every_s if rule is not None else 0.0,
            uncertainty_s=self.clock.uncertainty_s,
        )

    def _read_clock(self) -> None:
        reply = fetch(self.place, "/api/v1/query?query=time()")
        said = _decoded(reply.body, _TimeBody, self.place.shown)
        self.clock.heard(said.data.result[0], sent_s=reply.sent_s, came_s=reply.came_s)


def by_name(alerts: Sequence[Alert], names: Sequence[str]) -> dict[str, list[Alert]]:
    """The series of each alert that is asked for."""
    found: dict[str, list[Alert]] = {name: [] for name in names}
    for one in alerts:
        name = one.labels.get("alertname", "")
        if name in found:
            found[name].append(one)
    return found


def state_of(series: Sequence[Alert]) -> AlertState:
    """How an alert stands: as the most urgent of its series."""
    states = {one.state for one in series}
    return "firing" if "firing" in states else "pending" if "pending" in states else "inactive"


def fired_s(active_s: float, rule: KnownRule | None) -> float:
    """When a series that holds since `active_s` fires: at the first evaluation that is `for` later.

    Prometheus tells it to Alertmanager alone, as `startsAt`; evaluations are `interval` apart.
    """
    if rule is None or rule.for_s <= 0:
        return active_s
    if rule.every_s <= 0:
        return active_s + rule.for_s
    return active_s + math.ceil(rule.for_s / rule.every_s - _EARLY) * rule.every_s


def read_alerts(body: bytes, where: str) -> tuple[Alert, ...]:
    """The answer of `/api/v1/alerts`. Raises UnreadError."""
    return _decoded(body, _AlertsBody, where).data.alerts


def read_rules(body: bytes, names: Sequence[str], where: str) -> dict[str, KnownRule]:
    """The rules of these alerts; of two of one name the one that waits longest. Raises UnreadError."""
    found: dict[str, KnownRule] = {}
    for group in _decoded(body, _RulesBody, where).data.groups:
        for rule in group.rules:
            if rule.name in names:
                known = KnownRule(rule.duration, group.interval, moment(rule.lastEvaluation))
                found[rule.name] = max(known, found.get(rule.name, known), key=lambda one: one.for_s)
    return found


def moment(text: str) -> float:
    """A time as Prometheus and Alertmanager write it (RFC 3339); 0.0 for none, which they write as year 1."""
    try:
        at = datetime.fromisoformat(_cut(text))
    except ValueError:
        return 0.0
    return at.timestamp() if at.year > 1 and at.tzinfo is not None else 0.0


def _cut(text: str) -> str:
    """Nanoseconds cut to microseconds, which is as far as Python reads."""
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = rest[: next((place for place, one in enumerate(rest) if not one.isdigit()), len(rest))]
    return f"{head}.{digits[:6]}{rest[len(digits) :]}"


def _decoded(body: bytes, kind: type[_Body], where: str) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadError(f"{where} does not answer as Prometheus does: {error}") from error
