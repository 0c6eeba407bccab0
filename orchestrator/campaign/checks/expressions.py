"""Expressions: names that their activity can measure, spans and sources that the phase has (METRICS.md 5)."""

from collections.abc import Iterator

from orchestrator.campaign.checks.objectives import check_burn_rate
from orchestrator.campaign.checks.suffixes import Stand, check_suffixes
from orchestrator.campaign.checks.walk import activities, monitor_of, target_of
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import (
    Campaign,
    ChaosActivity,
    LoadActivity,
    Phase,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    TelemetryActivity,
)
from orchestrator.campaign.yaml_reader import Path
from orchestrator.slo.expressions import (
    Alert,
    Comparison,
    Drift,
    Quantile,
    Scalar,
    Stat,
)
from orchestrator.slo.names import SCALARS, TELEMETRY_SERIES


def check_expressions(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with the expressions, beyond their own form."""
    for stand in _stands(campaign):
        yield from _names(campaign, stand)
        yield from _money(campaign, stand)
        yield from _sources(campaign, stand)
        yield from check_suffixes(campaign, stand)
    for path, phase, activity in activities(campaign):
        if isinstance(activity, SoakActivity):
            yield from _watch(campaign, phase, path, activity)
    yield from check_burn_rate(campaign)


def _stands(campaign: Campaign) -> Iterator[Stand]:
    for index, one in enumerate(campaign.slos):
        yield Stand(("slos", index), "slos", one)
    for index, one in enumerate(campaign.abort_if):
        yield Stand(("abort_if", index), "abort_if", one)
    for path, phase, activity in activities(campaign):
        for index, one in enumerate(getattr(activity, "slos", ())):
            yield Stand((*path, "slos", index), "slos", one, phase, activity)
        if isinstance(activity, ChaosActivity):
            for index, one in enumerate(activity.expect):
                yield Stand((*path, "expect", index), "expect", one, phase, activity)
        if isinstance(activity, SearchActivity):
            for index, one in enumerate(activity.while_):
                yield Stand((*path, "while", index), "while", one, phase, activity)


def _names(campaign: Campaign, stand: Stand) -> Iterator[Finding]:
    body = stand.expression.body
    if isinstance(body, Alert) and monitor_of(campaign) is None:
        yield Finding(
            stand.path, "no target is a monitor, so no alert can be seen", "add one with `prometheus`"
        )
    if not isinstance(body, Comparison):
        return
    kind = stand.activity.kind if stand.activity else "load"
    regression = stand.activity if isinstance(stand.activity, RegressionActivity) else None
    value = body.value
    if isinstance(value, Drift):
        if regression is None or regression.golden is None:
            yield Finding(stand.path, "drift needs a regression with `golden`")
    elif isinstance(value, Scalar) and stand.place == "slos":
        kinds = SCALARS[value.name].kinds
        if kind not in kinds:
            which = "the campaign's" if stand.activity is None else f"a {kind}'s"
            yield Finding(
                stand.path, f"{value.name} is not among {which} values", f"kinds: {', '.join(kinds)}"
            )
        yield from _needs(stand, value.name)


def _needs(stand: Stand, name: str) -> Iterator[Finding]:
    activity = stand.activity
    if isinstance(activity, RegressionActivity):
        if name == "agreement" and activity.baseline is None:
            yield Finding(stand.path, "agreement needs a `baseline`")
        if name == "contract_violations" and activity.features is None:
            yield Finding(stand.path, "contract_violations needs `features`")
    if isinstance(activity, SearchActivity) and name in ("max_rate", "max_concurrency"):
        found = activity.find.replace(" ", "_")
        if found != name:
            yield Finding(stand.path, f"the search finds {found}, not {name}")


def _money(campaign: Campaign, stand: Stand) -> Iterator[Finding]:
    body = stand.expression.body
    if not isinstance(body, Comparison) or not isinstance(body.value, Scalar):
        return
    if not body.value.name.startswith("cost_"):
        return
    if campaign.prices is None:
        yield Finding(stand.path, f"{body.value.name} needs `prices`", "e.g. prices: {machine_hour: 3.20}")
    elif body.unit != campaign.prices.currency:
        hint = f"write {body.bound:g} {campaign.prices.currency}"
        said = f"is in {body.unit}, the campaign's prices are in {campaign.prices.currency}"
        yield Finding(stand.path, said, hint)


def _sources(campaign: Campaign, stand: Stand) -> Iterator[Finding]:
    body = stand.expression.body
    value = body.value if isinstance(body, Comparison) else None
    phases = [stand.phase] if stand.phase else _judged_phases(campaign)
    if isinstance(value, Quantile | Stat) and value.series in TELEMETRY_SERIES:
        need = TELEMETRY_SERIES[value.series].source
        for phase in phases:
            if need not in sources_of(campaign, phase):
                yield Finding(stand.path, f"no source of {value.series} in phase {phase.name}", _add(need))
                break
    if isinstance(value, Scalar) and value.name.startswith("joules_"):
        for phase in phases:
            if not {"nvml", "prometheus"} & sources_of(campaign, phase):
                yield Finding(stand.path, f"no source of energy in phase {phase.name}", _add("nvml"))
                break


def _watch(campaign: Campaign, phase: Phase, path: Path, soak: SoakActivity) -> Iterator[Finding]:
    """Telemetry names that a soak watches need their source too."""
    have = sources_of(campaign, phase)
    for index, name in enumerate(soak.watch):
        if name in TELEMETRY_SERIES and TELEMETRY_SERIES[name].source not in have:
            need = TELEMETRY_SERIES[name].source
            yield Finding((*path, "watch", index), f"no source of {name} in this phase", _add(need))


def sources_of(campaign: Campaign, phase: Phase) -> set[str]:
    """Which sources a phase has: `nvml`, `host`, `process`, `prometheus`, and `target` for `target.*`."""
    found: set[str] = set()
    for activity in phase.activities:
        if isinstance(activity, SoakActivity):
            target = target_of(campaign, activity.target)
            found |= {"target"} if target and (target.metrics or target.demo) else set()
        if isinstance(activity, TelemetryActivity):
            for source in activity.sources:
                if isinstance(source, str):
                    found.add(source)
                else:
                    found |= {"process"} if hasattr(source, "process") else {"prometheus", "target"}
    return found


def _add(need: str) -> str:
    if need == "target":
        return "give the soak's target `metrics`, or add telemetry with {prometheus: TARGET}"
    source = "{process: {port: 8000}}" if need == "process" else need
    return f"add an activity of kind telemetry with sources: [{source}]"


def _judged_phases(campaign: Campaign) -> list[Phase]:
    return [
        phase
        for phase in campaign.phases
        if any(isinstance(one, LoadActivity | SoakActivity) for one in phase.activities)
    ]
