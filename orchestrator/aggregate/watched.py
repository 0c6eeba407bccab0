"""A phase's journal -> what was seen of its alerts and gauges, whoever watched and however often."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import floor
from typing import Final

from orchestrator.facts import State
from orchestrator.slo.watched import AlertLog, Firing, GaugeLog, Watched
from workers.contract import facts as f
from workers.contract.spec import watch_key

POLLED: Final = ("prometheus", "alertmanager")
"""What can be asked, the better witness first: it knows when an alert's condition began and ceased."""
SAME_WITHIN_S: Final = 2.0
"""Firings of one alert that began this close together, by two witnesses' clocks, are one."""


def watched_in(phase: str, state: State) -> Watched:
    """All that the watch of a phase saw, in seconds since the phase's start."""
    so_far = state.phases.get(phase)
    start_s = so_far.start_s if so_far is not None else None
    attempts = state.attempts_of(watch_key(phase))
    facts = [fact for one in attempts for fact in state.watched.get(one.id, ())]
    whys = [one.exited.why for one in attempts if one.exited is not None and one.exited.why]
    whys += [one.lost.why for one in attempts if one.lost is not None]
    why = whys[-1] if whys else "" if attempts else "no worker could watch it"
    if start_s is None:
        return Watched(why=why)
    gauged = [one for one in facts if isinstance(one, f.Gauged)]
    seen = [one for one in facts if isinstance(one, f.AlertSeen)]
    names = dict.fromkeys(one.gauge for one in gauged if one.gauge not in POLLED)
    return Watched(
        alerts={
            name: _alert([one for one in seen if one.alert == name], gauged, start_s)
            for name in dict.fromkeys(one.alert for one in seen)
        },
        gauges={name: _gauge([one for one in gauged if one.gauge == name], start_s) for name in names},
        why=why or next((one.why for one in gauged if one.why), ""),
    )


def _gauge(batches: Sequence[f.Gauged], start_s: float) -> GaugeLog:
    values = {
        floor(batch.start_s - start_s) + place: value
        for batch in batches
        for place, value in enumerate(batch.values)
        if value is not None
    }
    why = next((one.why for one in reversed(batches) if one.why), "")
    return GaugeLog(values, why, max((one.uncertainty_s for one in batches), default=0.0))


def _alert(seen: Sequence[f.AlertSeen], gauged: Sequence[f.Gauged], start_s: float) -> AlertLog:
    """What the best of its witnesses says of an alert, and when the others had it."""
    witness = next((name for name in POLLED if any(one.source == name for one in seen)), POLLED[0])
    polls = [one for one in gauged if one.gauge == witness]
    own = [one for one in seen if one.source == witness]
    firings = _firings(own)
    others = [one for one in seen if one.source != witness and one.state == "firing"]
    last = own[-1] if own else None
    pending = last is not None and last.state == "pending"
    return AlertLog(
        firings=tuple(_since(_told(one, others), start_s) for one in firings),
        seconds=frozenset(_gauge(polls, start_s).values),
        absent=bool(own) and all(one.state == "absent" for one in own),
        pending_s=last.active_s - start_s if last is not None and pending else None,
        for_s=max((one.for_s for one in own), default=0.0),
        why=_gauge(polls, start_s).why,
    )


@dataclass(slots=True)
class _Course:
    """An alert's firings so far, in common time; the last may be open."""

    firings: list[Firing] = field(default_factory=list)

    @property
    def open(self) -> Firing | None:
        return self.firings[-1] if self.firings and self.firings[-1].ended_s is None else None

    def end(self, at_s: float, uncertainty_s: float) -> None:
        """It fires no more."""
        if self.open is not None:
            ended_s = max(at_s, self.open.fired_s)
            doubt_s = max(self.open.uncertainty_s, uncertainty_s)
            self.firings[-1] = replace(self.open, ended_s=ended_s, uncertainty_s=doubt_s)

    def fire(self, fact: f.AlertSeen) -> None:
        """It fires: still, as somebody else says now, or anew."""
        open_ = self.open
        if open_ is not None and abs(open_.fired_s - fact.fired_s) <= SAME_WITHIN_S + fact.uncertainty_s:
            self.firings[-1] = replace(open_, silenced=open_.silenced or bool(fact.silenced))
            return
        self.end(fact.active_s or fact.fired_s, fact.uncertainty_s)
        self.firings.append(
            Firing(
                fired_s=fact.fired_s or fact.at_s,
                active_s=fact.active_s or None,
                received_s=fact.received_s or None,
                for_s=fact.for_s,
                every_s=fact.every_s,
                uncertainty_s=fact.uncertainty_s,
                silenced=bool(fact.silenced),
            )
        )


def _firings(seen: Iterable[f.AlertSeen]) -> list[Firing]:
    course = _Course()
    for fact in seen:
        if fact.state == "firing":
            course.fire(fact)
        elif fact.state == "pending":
            course.end(fact.active_s or fact.at_s, fact.uncertainty_s)
        else:
            course.end(fact.ended_s or fact.at_s, fact.uncertainty_s)
    return course.firings


def _told(firing: Firing, others: Sequence[f.AlertSeen]) -> Firing:
    """With when Alertmanager had it, and when its webhook came here."""
    same = [one for one in others if abs(one.fired_s - firing.fired_s) <= SAME_WITHIN_S + one.uncertainty_s]
    manager = next((one for one in same if one.source == "alertmanager"), None)
    webhook = next((one for one in same if one.source == "webhook"), None)
    return replace(
        firing,
        received_s=manager.received_s if manager is not None and manager.received_s else firing.received_s,
        routed_s=webhook.received_s if webhook is not None else None,
        silenced=firing.silenced or any(one.silenced for one in same),
    )


def _since(firing: Firing, start_s: float) -> Firing:
    """The same on the phase's clock."""

    def moved(at_s: float | None) -> float | None:
        return None if at_s is None else at_s - start_s

    return replace(
        firing,
        fired_s=firing.fired_s - start_s,
        ended_s=moved(firing.ended_s),
        active_s=moved(firing.active_s),
        received_s=moved(firing.received_s),
        routed_s=moved(firing.routed_s),
    )
