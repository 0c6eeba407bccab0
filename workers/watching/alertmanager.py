"""Alertmanager as a source: which alerts it has, since when, and which silences keep them quiet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import msgspec

from workers.watching.contract import AlertReading, UnreadError, Value
from workers.watching.fetch import Place, fetch
from workers.watching.monitor_clock import MonitorClock
from workers.watching.prometheus import moment

NAME: Final = "alertmanager"
DATE_STEP_S: Final = 1.0
"""A Date header counts whole seconds."""


class _Status(msgspec.Struct, frozen=True):
    silencedBy: tuple[str, ...] = ()  # noqa: N815  # Alertmanager's own name


class _Alert(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}
    startsAt: str = ""  # noqa: N815
    updatedAt: str = ""  # noqa: N815
    status: _Status = _Status()


@dataclass(slots=True)
class AlertmanagerSource:
    """Asked about the alerts `names`; it forgets an alert once it has ceased."""

    place: Place
    names: tuple[str, ...]
    clock: MonitorClock = field(default_factory=MonitorClock)
    received: dict[str, float] = field(default_factory=dict)

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
        matcher = quote(f'alertname=~"{"|".join(name.replace(".", "[.]") for name in self.names)}"')
        reply = fetch(self.place, f"/api/v2/alerts?filter={matcher}")
        if reply.date_s is not None:
            self.clock.heard(reply.date_s, sent_s=reply.sent_s, came_s=reply.came_s, step_s=DATE_STEP_S)
        found = read(reply.body, self.place.shown)
        return (
            Value(NAME, 1.0),
            *(self._reading(name, found.get(name, []), reply.sent_s) for name in self.names),
        )

    def _reading(self, name: str, alerts: Sequence[_Alert], looked_s: float) -> AlertReading:
        at_s = self.clock.common
        if not alerts:
            self.received.pop(name, None)
            return AlertReading(
                name, "inactive", looked_s, ended_s=looked_s, uncertainty_s=self.clock.uncertainty_s
            )
        # it is told again and again; when it was first is what tells how long the way took
        received_s = self.received.setdefault(name, min(moment(one.updatedAt) for one in alerts))
        return AlertReading(
            alert=name,
            state="firing",
            looked_s=looked_s,
            fired_s=at_s(min(moment(one.startsAt) for one in alerts)),
            received_s=at_s(received_s),
            uncertainty_s=self.clock.uncertainty_s,
            silenced=tuple(sorted({id_ for one in alerts for id_ in one.status.silencedBy})),
        )


def read(body: bytes, where: str) -> Mapping[str, list[_Alert]]:
    """The answer of `/api/v2/alerts`, by name of the alert. Raises UnreadError."""
    try:
        alerts = msgspec.json.decode(body, type=tuple[_Alert, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadError(f"{where} does not answer as Alertmanager does: {error}") from error
    found: dict[str, list[_Alert]] = {}
    for one in alerts:
        found.setdefault(one.labels.get("alertname", ""), []).append(one)
    return found
