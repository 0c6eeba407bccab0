"""How the SLOs of a running activity stand so far: the judge's own rules on the data there is.

Never a verdict: seconds that are still open, and everything after a fault under `outside faults`, are not in.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.aggregate.evidence import fault_spans
from orchestrator.live.view import LiveSlo
from orchestrator.slo.evidence import CaseCounts, Evidence, Judgement, Second, SeriesSum
from orchestrator.slo.expressions import Alert, Comparison, Expression
from orchestrator.slo.judge import judge
from orchestrator.slo.words import quantity
from workers.contract.schedule import OpenArrivals
from workers.contract.sketch import EMPTY, merge_all
from workers.contract.snapshot import JUDGED, MISSED_GROUP

if TYPE_CHECKING:
    from orchestrator.aggregate.totals import ActivityTotals, Totals
    from orchestrator.coordinator.campaign_run import CampaignRun
    from orchestrator.plan import ActivityPlan

EVERY_S = 2.0
STEP_S = 0.02
MOST_SHARE = 0.05
"""Judging 8 h takes 0.1 s an SLO here: it is done in steps, and the leader has at least 95% of its time."""


@dataclass(slots=True)
class SloWatch:
    """What was said last of a phase's SLOs, by activity, and the round that is under way."""

    phase: str = ""
    said: Mapping[str, tuple[LiveSlo, ...]] = field(default_factory=dict)
    round: Iterator[tuple[str, LiveSlo]] | None = None
    found: dict[str, tuple[LiveSlo, ...]] = field(default_factory=dict)
    next_s: float = 0.0

    def look(self, run: "CampaignRun", phase: str, elapsed_s: float) -> Mapping[str, tuple[LiveSlo, ...]]:
        """Activity key -> its SLOs as last judged; goes on judging for a moment where that is due."""
        if phase != self.phase:
            self.phase, self.said, self.round = phase, {}, None
        begun_s = time.monotonic()
        if elapsed_s >= 1 and begun_s >= self.next_s:
            ended = self._step(run, elapsed_s, until_s=begun_s + STEP_S)
            took_s = time.monotonic() - begun_s
            self.next_s = begun_s + max(EVERY_S if ended else 0.0, took_s / MOST_SHARE)
        return self.said

    def _step(self, run: "CampaignRun", elapsed_s: float, *, until_s: float) -> bool:
        """Judge one SLO after the other until the time is over; True where the round is."""
        if self.round is None:
            self.round, self.found = so_far(run, self.phase, elapsed_s), {}
        for key, told in self.round:
            self.found[key] = (*self.found.get(key, ()), told)
            if time.monotonic() >= until_s:
                return False
        self.said, self.round = self.found, None
        return True


def so_far(run: "CampaignRun", phase: str, elapsed_s: float) -> Iterator[tuple[str, LiveSlo]]:
    """Judge every SLO of the running phase on what has come in: (activity key, how it stands), one by one."""
    campaign = run.campaign
    models = {one.name: one for one in next(p for p in campaign.phases if p.name == phase).activities}
    for activity in run.plan.phase(phase).activities:
        own: tuple[Expression, ...] = tuple(getattr(models[activity.name], "slos", ()))
        standing = (*own, *campaign.slos) if activity.is_load else own
        if not standing or not activity.needs_engine:
            continue
        evidence = _evidence(run, activity, own, elapsed_s=elapsed_s)
        for one in standing:
            if isinstance(one.body, Alert):
                continue  # told as it happens; what its silence is worth is known at the end
            said = judge(one, evidence, place="slos", campaign_slos=campaign.slos, validity=campaign.validity)
            yield activity.key, _told(said, one)


def _told(judgement: Judgement, expression: Expression) -> LiveSlo:
    body = expression.body
    unit = body.unit if isinstance(body, Comparison) else ""
    seen = "" if judgement.observed is None else quantity(judgement.observed, unit)
    return LiveSlo(judgement.slo, judgement.verdict, seen)


def _evidence(
    run: "CampaignRun", activity: "ActivityPlan", slos: tuple[Expression, ...], *, elapsed_s: float
) -> Evidence:
    """The rows so far, with nothing that only the end can know: no coverage, no impact of faults."""
    totals = run.aggregate.of(activity.key)
    phase = run.plan.phase(activity.phase)
    tagged = {"=".join(one.suffixes.tag) for one in slos if one.suffixes.tag is not None}
    groups = [
        name for name in totals.groups() if name in tagged or name == JUDGED or name.startswith("stage=")
    ]
    return Evidence(
        activity=activity.key,
        kind=activity.kind,
        duration_s=float(max(1, int(min(elapsed_s, activity.duration_s or elapsed_s)))),
        warmup_s=activity.warmup_s,
        groups={name: _rows(totals, name) for name in groups},
        missed={name: _rows(totals, MISSED_GROUP + name) for name in groups},
        faults=fault_spans(run.state, phase, run.state.phases[activity.phase].start_s or 0.0),
        stages=_stages(activity),
        regression=CaseCounts(len(totals.cases), sum(case.passed for case in totals.cases.values())),
        slos=slos,
        quantile_of=lambda group, series, q, seconds: _quantile(totals, group, series, q=q, seconds=seconds),
    )


def _rows(totals: "ActivityTotals", group: str) -> tuple[Second, ...]:
    return tuple(_second(second, row) for second, row in totals.group(group).items())


def _second(second: int, row: "Totals") -> Second:
    return Second(
        second=second,
        outcomes=row.outcomes,
        bounds=row.bounds,
        ok_tokens=row.output_tokens,
        tokens_absent=row.ok_without_tokens,
        sums={
            series: SeriesSum(sketch.count, sketch.total, sketch.low, sketch.high)
            for series, sketch in row.sketches.items()
            if sketch.count
        },
    )


def _quantile(
    totals: "ActivityTotals", group: str, series: str, *, q: float, seconds: frozenset[int]
) -> float | None:
    wanted = (row for (name, second), row in totals.seconds.items() if name == group and second in seconds)
    sketch = merge_all(row.sketches.get(series, EMPTY) for row in wanted)
    return sketch.quantile(q) if sketch.count else None


def _stages(activity: "ActivityPlan") -> dict[str, tuple[float, float]]:
    if not isinstance(activity.arrivals, OpenArrivals):
        return {}
    return {one.stage: (one.start_s, one.end_s) for one in activity.arrivals.segments if one.stage}
