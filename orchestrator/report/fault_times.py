"""When each fault of a game day was noticed, ended and recovered from, and how much budget it burned."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from orchestrator.aggregate.watched import POLLED
from orchestrator.gameday.times import (
    Event,
    FaultMoments,
    Times,
    allowed_minutes,
    belongs_until_s,
    budget_minutes,
    times_of,
)
from orchestrator.judging.judging import FaultResult
from orchestrator.results.outcome import Outcome
from orchestrator.slo.evidence import effect_of_all
from orchestrator.slo.expressions import Comparison, Expression, Scalar
from workers.contract import facts as f

WITNESSES: Final = (*POLLED, "webhook")
SAME_WITHIN_S: Final = 2.0
"""Two sources that tell of one firing differ by less, besides what their clocks differ by."""


@dataclass(frozen=True, slots=True)
class TimedFault:
    """A fault on all of its hosts. `held`: all that was expected held; None where that cannot be said."""

    name: str
    activity: str
    step: int
    phase: str
    fault: str
    injected_s: float
    took_effect: bool | None
    held: bool | None
    recovered: bool | None
    times: Times


@dataclass(frozen=True, slots=True)
class Budget:
    """Minutes of full outage by (activity, step), against the strictest objective where there is one.

    `whole_min`: of all faults; a second that two of them spoiled counts once.
    """

    burned_min: Mapping[tuple[str, int], float]
    whole_min: float
    objective: float | None
    slo: str
    allowed_min: float | None


def fault_times(outcome: Outcome, report: Mapping[str, Any]) -> list[TimedFault]:
    """Every fault that was injected, in the order of time."""
    done = sorted(_joined(report), key=lambda one: float(one["injected"]))
    alerts = alarms(entry.fact for entry in outcome.journal if isinstance(entry.fact, f.AlertSeen))
    seen = [Event(one.at_s, one.by) for one in outcome.state.observed]
    steps = [Event(one.at_s, f"{one.step} by {one.by}") for one in outcome.state.steps]
    found = []
    for one in done:
        injected_s = float(one["injected"])
        felt = one["detected_s"]
        recovery = one["recovery_s"]
        from_s = injected_s if one["one_shot"] or one["reverted"] is None else float(one["reverted"])
        moments = FaultMoments(
            injected_s=injected_s,
            until_s=belongs_until_s(
                injected_s, _over_s(one), [float(other["injected"]) for other in done if other is not one]
            ),
            felt_s=None if felt is None else injected_s + felt,
            ended_s=one["reverted"],
            recovered_s=None if recovery is None or felt is None else from_s + recovery,
            alerts=alerts,
            seen=seen,
            done=steps,
        )
        found.append(
            TimedFault(
                name=one["name"],
                activity=one["activity"],
                step=one["step"] - 1,
                phase=one["phase"],
                fault=one["fault"],
                injected_s=injected_s,
                took_effect=one["took_effect"],
                held=held(one, report),
                recovered=_recovered(one, report),
                times=times_of(moments),
            )
        )
    return found


def budget_of(outcome: Outcome) -> Budget | None:
    """What the faults cost, on the activity that each hit hardest; None where nothing was observed."""
    measured = {one.plan.key: one for phase in outcome.phases for one in phase.measured}
    spoiled: dict[tuple[str, int], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for phase in outcome.phases:
        for result in phase.faults:
            for impact in result.impacts:
                rows = measured[impact.activity].evidence.seconds if impact.activity in measured else ()
                end_s = _end_s(result, impact.recovered_s)
                spoiled[result.activity, result.span.step][impact.activity] |= {
                    row.second: row.bad / row.counted
                    for row in rows
                    if row.counted and int(result.span.injected_s) <= row.second < end_s
                }
    if not spoiled:
        return None
    hardest = {key: max(by.items(), key=lambda one: sum(one[1].values())) for key, by in spoiled.items()}
    whole = {(name, second): share for name, by in hardest.values() for second, share in by.items()}
    hit = {name for name, _ in hardest.values() if name in measured}
    standing = (*outcome.campaign.slos, *(slo for name in hit for slo in measured[name].evidence.slos))
    bound, slo = max(_objectives(standing), default=(None, ""))
    return Budget(
        burned_min={key: budget_minutes(by.values()) for key, (_, by) in hardest.items()},
        whole_min=budget_minutes(whole.values()),
        objective=bound,
        slo=slo,
        allowed_min=allowed_minutes(bound) if bound is not None else None,
    )


def _end_s(result: FaultResult, recovered_s: float | None) -> float:
    """Until when a fault's harm is counted; one that never recovered harms to the end."""
    if recovered_s is None:
        return float("inf")
    return max(recovered_s, result.span.reverted_s or 0.0)


def _objectives(standing: Iterable[Expression]) -> Iterator[tuple[float, str]]:
    """Each `success_rate >= s`, with its text."""
    for one in standing:
        body = one.body
        value = body.value if isinstance(body, Comparison) else None
        if isinstance(body, Comparison) and isinstance(value, Scalar) and value.name == "success_rate":
            yield body.bound, one.text


def _over_s(fault: Mapping[str, Any]) -> float:
    """When a fault was over: its revert; of a one-shot one when the traffic was back, if ever it felt it."""
    if not fault["one_shot"]:
        return float(fault["injected"] if fault["reverted"] is None else fault["reverted"])
    if fault["recovered"] is False:
        return float("inf")
    return float(fault["injected"]) + (fault["recovery_s"] or 0.0)


def _joined(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A fault of several hosts as one: from the first injection to the last revert, the slowest recovery."""
    done = [one for one in report["faults"] if one["injected"] is not None]
    ordered = sorted(done, key=lambda one: (one["activity"], one.get("step", 1)))
    for _, some in groupby(ordered, key=lambda one: (one["activity"], one.get("step", 1))):
        parts = list(some)
        reverted = [one["reverted"] for one in parts]
        slow = [one["recovery_s"] for one in parts]
        felt = [one["detected_s"] for one in parts if one["detected_s"] is not None]
        yield parts[0] | {
            "step": parts[0].get("step", 1),
            "injected": min(one["injected"] for one in parts),
            "reverted": None if None in reverted else max(reverted),
            "recovery_s": None if None in slow else max(slow),
            "recovered": None if all(one["recovered"] is None for one in parts)
            else all(one["recovered"] is not False for one in parts),
            "detected_s": min(felt, default=None),
            "took_effect": effect_of_all([one["took_effect"] for one in parts]),
        }  # fmt: skip


def _recovered(fault: Mapping[str, Any], report: Mapping[str, Any]) -> bool | None:
    """Whether the traffic came back; None where it cannot be said, for the generator was in the way too."""
    doubted = any(one["verdict"] == "invalid" for one in _claims(fault, report))
    return None if doubted and not fault["recovered"] else fault["recovered"]


def held(fault: Mapping[str, Any], report: Mapping[str, Any]) -> bool | None:
    """Whether all that was expected of a fault held, and the traffic came back; None: cannot be said.

    A fault of which nothing was expected, and which no traffic was there to feel, has shown nothing.
    """
    claims, recovered = _claims(fault, report), _recovered(fault, report)
    if recovered is False or any(one["verdict"] == "fail" for one in claims):
        return False
    said = report["activities"].get(fault["activity"], {}).get("verdict")
    shown = recovered is True or bool(claims)
    return True if said == "pass" and fault["took_effect"] and shown else None


def _claims(fault: Mapping[str, Any], report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in report["slos"] if one["activity"] == fault["activity"]]


def alarms(told: Iterable[f.AlertSeen]) -> list[Event]:
    """Each time that an alert began to fire, by the best witness of it: Prometheus, else Alertmanager.

    One that was silenced when Alertmanager first had it reached nobody, and is left out; one that somebody
    silenced later did.
    """
    firing = [(one.alert, _fired_s(one), one) for one in told if one.state == "firing"]
    found: list[tuple[str, float, list[f.AlertSeen]]] = []
    for alert, at_s, one in sorted(firing, key=lambda each: (each[0], each[1], each[2].at_s)):
        if found and found[-1][0] == alert and at_s - found[-1][1] <= SAME_WITHIN_S + one.uncertainty_s:
            found[-1][2].append(one)
        else:
            found.append((alert, at_s, [one]))
    return [
        Event(_witnessed_s(same), f"alert {alert}") for alert, _, same in found if not _reached_nobody(same)
    ]


def _witnessed_s(same: Iterable[f.AlertSeen]) -> float:
    return _fired_s(min(same, key=lambda one: (WITNESSES.index(one.source), one.at_s)))


def _fired_s(seen: f.AlertSeen) -> float:
    """When it began to fire, as well as its source knows."""
    return seen.fired_s or seen.active_s or seen.at_s


def _reached_nobody(same: Iterable[f.AlertSeen]) -> bool:
    first = min((one for one in same if one.source == "alertmanager"), key=lambda one: one.at_s, default=None)
    return first is not None and bool(first.silenced)
