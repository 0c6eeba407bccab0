"""What is new of alerts and of series since it was last told: readings in, facts out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from workers.contract.facts import AlertSeen, Gauged
from workers.watching.contract import AlertReading, Polled, Value

BATCH: Final = 10
"""Readings that one fact carries: a night's journal stays small, and a loss costs ten seconds of them."""
MOST_GAP: Final = 60
"""A longer silence begins a new fact in place of one that is full of nothing."""


@dataclass(slots=True)
class Changes:
    """Of one attempt. `stood`: how each alert was last told; `open`: what is not told yet of each series."""

    attempt: str
    stood: dict[tuple[str, str], AlertSeen] = field(default_factory=dict)
    open: dict[str, Gauged] = field(default_factory=dict)

    def heard(self, polled: Polled, *, now_s: float, uncertainty_s: float) -> Iterator[AlertSeen | Gauged]:
        """The facts that one second of a source is worth."""
        values = {one.series: one for one in polled.readings if isinstance(one, Value)}
        for series in polled.series:
            value = values.get(series) or Value(series, None, polled.why)
            yield from self._value(value, polled.second, now_s=now_s, uncertainty_s=uncertainty_s)
        for one in polled.readings:
            if isinstance(one, AlertReading):
                yield from self._alert(one, polled.source, now_s=now_s, uncertainty_s=uncertainty_s)

    def rest(self, now_s: float) -> Iterator[Gauged]:
        """What has not been told yet, at the end."""
        for name in tuple(self.open):
            yield self._close(name, now_s)

    def _alert(
        self, reading: AlertReading, source: str, *, now_s: float, uncertainty_s: float
    ) -> Iterator[AlertSeen]:
        before = self.stood.get((source, reading.alert))
        state = reading.state
        if before is not None and before.state in ("firing", "resolved") and state == "inactive":
            state_now = "resolved"
        else:
            state_now = state
        if before is not None and (before.state, before.silenced) == (state_now, reading.silenced):
            return
        firing_on = before is not None and before.state == state_now == "firing"
        fact = AlertSeen(
            at_s=now_s,
            attempt=self.attempt,
            alert=reading.alert,
            source=source,
            state=state_now,
            # of several series the first to fire may be gone, and the alert fires on
            active_s=before.active_s if before is not None and firing_on else reading.active_s,
            fired_s=before.fired_s if before is not None and firing_on else reading.fired_s,
            ended_s=reading.ended_s if state_now == "resolved" else 0.0,
            received_s=reading.received_s,
            for_s=reading.for_s,
            every_s=reading.every_s,
            uncertainty_s=reading.uncertainty_s + uncertainty_s,
            silenced=reading.silenced,
        )
        self.stood[source, reading.alert] = fact
        yield fact

    def _value(self, value: Value, second: int, *, now_s: float, uncertainty_s: float) -> Iterator[Gauged]:
        held = self.open.get(value.series)
        if (
            held is not None
            and not len(held.values) <= second - round(held.start_s) < len(held.values) + MOST_GAP
        ):
            yield self._close(value.series, now_s)
            held = None
        if held is None:
            held = Gauged(attempt=self.attempt, gauge=value.series, start_s=float(second), values=())
        missed = (None,) * (second - round(held.start_s) - len(held.values))
        self.open[value.series] = Gauged(
            attempt=self.attempt,
            gauge=value.series,
            start_s=held.start_s,
            values=(*held.values, *missed, value.value),
            why=value.why or held.why,
            uncertainty_s=max(held.uncertainty_s, uncertainty_s),
        )
        if len(self.open[value.series].values) >= BATCH:
            yield self._close(value.series, now_s)

    def _close(self, name: str, now_s: float) -> Gauged:
        held = self.open.pop(name)
        return Gauged(
            at_s=now_s,
            attempt=held.attempt,
            gauge=held.gauge,
            start_s=held.start_s,
            values=held.values,
            why=held.why,
            uncertainty_s=held.uncertainty_s,
        )
