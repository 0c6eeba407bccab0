"""What is to be watched beside a phase's traffic: alerts and gauges that its claims name, and silences."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.campaign.checks.walk import monitor_of, observed, target_of
from orchestrator.campaign.models import Campaign, ChaosActivity, LoadActivity, Phase, SoakActivity
from orchestrator.slo.expressions import Alert, Expression, Gauge


@dataclass(frozen=True, slots=True)
class Needs:
    """`gauges`: (target, gauge). `silences`: whether Alertmanager is to be told to keep something quiet."""

    alerts: tuple[str, ...] = ()
    gauges: tuple[tuple[str, Gauge], ...] = ()
    silences: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to watch."""
        return bool(self.alerts or self.gauges or self.silences)


def needs_of(phase: Phase, campaign: Campaign) -> Needs:
    """What the claims of a phase need, each once, in the order of the file."""
    alerts = [one.body.name for one in _claims(phase, campaign) if isinstance(one.body, Alert)]
    gauges = [
        (name, claim.body)
        for chaos in phase.activities
        if isinstance(chaos, ChaosActivity)
        for claim in chaos.expect
        if isinstance(claim.body, Gauge)
        for name in shown_by(chaos, phase, campaign)
    ]
    return Needs(tuple(dict.fromkeys(alerts)), tuple(dict.fromkeys(gauges)), _silences(phase, campaign))


def shown_by(chaos: ChaosActivity, phase: Phase, campaign: Campaign) -> tuple[str, ...]:
    """The targets whose pages of metrics show what a fault does: those observed, and its own."""
    names = [*(one.target for one in observed(phase, chaos)), *([chaos.target] if chaos.target else [])]
    targets = {name: target_of(campaign, name) for name in names}
    return tuple(name for name, one in targets.items() if one is not None and (one.metrics or one.demo))


def _claims(phase: Phase, campaign: Campaign) -> Iterator[Expression]:
    for activity in phase.activities:
        if isinstance(activity, ChaosActivity):
            yield from activity.expect
        yield from getattr(activity, "slos", ())
        if isinstance(activity, LoadActivity | SoakActivity):
            yield from campaign.slos


def _silences(phase: Phase, campaign: Campaign) -> bool:
    monitor, day = monitor_of(campaign), campaign.gameday
    if monitor is None or not monitor.alertmanager or day is None or not day.silence:
        return False
    return any(isinstance(one, ChaosActivity) for one in phase.activities)
