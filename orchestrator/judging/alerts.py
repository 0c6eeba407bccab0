"""A fault and the alerts beside it: what its expectations of them are judged on, and their own times.

Pure. METRICS.md sections 5 and 9.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.plan import ActivityPlan, PhasePlan
from orchestrator.slo.alerts import next_fault_s
from orchestrator.slo.evidence import Evidence, FaultSpan
from orchestrator.slo.watched import Firing, Watched


@dataclass(frozen=True, slots=True)
class AlertTimes:
    """What one alert did after one fault, in seconds since the injection; None where nobody knows of any.

    `already`: it was firing when the fault was injected. `resolved_s`: since the revert, of one-shot faults
    since the injection. The way of its news in parts: `noticed_s` until its condition held (scrape and
    evaluation), `held_s` by the rule's `for`, `sent_s` from there to Alertmanager, `routed_s` from there to
    our webhook.
    """

    alert: str
    already: bool = False
    fired_s: float | None = None
    resolved_s: float | None = None
    noticed_s: float | None = None
    held_s: float | None = None
    sent_s: float | None = None
    routed_s: float | None = None
    silenced: bool = False
    uncertainty_s: float = 0.0


def own_evidence(
    activity: ActivityPlan,
    phase: PhasePlan,
    spans: Iterable[FaultSpan],
    *,
    watched: Watched,
    targets: Sequence[str],
    observed: Sequence[Evidence],
) -> Evidence:
    """What a chaos activity's expectations of alerts and gauges are judged on.

    `spans`: of the whole phase, used where no traffic is observed; `targets`: whose gauges are meant.
    """
    seconds = [second for log in watched.alerts.values() for second in log.seconds]
    faults = observed[0].faults if observed else tuple(replace(one, recovered_s=one.over_s) for one in spans)
    return Evidence(
        activity=activity.key,
        kind=activity.kind,
        duration_s=phase.duration_s or float(max(seconds, default=0)),
        warmup_s=max((one.warmup_s for one in observed), default=0.0),
        faults=faults,
        watched=replace(
            watched,
            gauges={name: log for name, log in watched.gauges.items() if name.partition(" ")[0] in targets},
        ),
    )


def alert_times(span: FaultSpan, evidence: Evidence) -> tuple[AlertTimes, ...]:
    """What each alert of the phase did between a fault's injection and the next fault."""
    until_s = next_fault_s(evidence, span)
    return tuple(
        _times(name, log.firings, span, until_s=until_s)
        for name, log in evidence.watched.alerts.items()
        if log.seconds
    )


def _times(alert: str, firings: Sequence[Firing], span: FaultSpan, *, until_s: float) -> AlertTimes:
    if any(one.is_on(span.injected_s) for one in firings):
        return AlertTimes(alert, already=True)
    mine = [one for one in firings if span.injected_s < one.fired_s < until_s]
    if not mine:
        return AlertTimes(alert)
    first, last = mine[0], mine[-1]
    active_s, received_s, routed_s, over_s = first.active_s, first.received_s, first.routed_s, span.over_s
    return AlertTimes(
        alert=alert,
        fired_s=first.fired_s - span.injected_s,
        resolved_s=_after(last.ended_s, over_s),
        noticed_s=_after(active_s, span.injected_s),
        held_s=_after(first.fired_s, active_s),
        sent_s=_after(received_s, first.fired_s),
        routed_s=_after(routed_s, first.fired_s if received_s is None else received_s),
        silenced=any(one.silenced for one in mine),
        uncertainty_s=first.uncertainty_s + span.uncertainty_s,
    )


def _after(at_s: float | None, since_s: float | None) -> float | None:
    """From one moment to another, where both are known; never below zero, since clocks differ a little."""
    return None if at_s is None or since_s is None else max(0.0, at_s - since_s)
