"""Totals and journal -> the evidence that expressions are judged on."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.aggregate.accounting import (
    Account,
    account_open,
    account_sessions,
    with_unseen,
)
from orchestrator.aggregate.totals import ActivityTotals, Totals
from orchestrator.aggregate.unscheduled import CaseWork, account_cases, account_loop, add_unheard
from orchestrator.facts import Attempt, State
from orchestrator.plan import ActivityPlan, PhasePlan
from orchestrator.slo.evidence import CaseCounts, Evidence, FaultSpan, Prices, Second, SeriesSum
from orchestrator.slo.expressions import Expression
from workers.contract.schedule import ClosedArrivals, OpenArrivals
from workers.contract.sketch import EMPTY, Sketch, merge_all
from workers.contract.snapshot import (
    ABANDONED,
    JUDGED,
    MISSED_GROUP,
    TRIES_GROUP,
    UNSENT_GENERATOR,
    UNSENT_TARGET,
    WARMUP,
    CaseResult,
)

SIGNALS = ("latency", "ttft")
"""Series whose p99 by second shows when a fault is felt and when it is over."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One activity's evidence with what it was made from."""

    plan: ActivityPlan
    totals: ActivityTotals
    account: Account
    evidence: Evidence


def measure(
    activity: ActivityPlan,
    state: State,
    totals: ActivityTotals,
    *,
    phase: PhasePlan,
    slos: tuple[Expression, ...],
    prices: Prices | None,
    cases: CaseWork,
    beside: Mapping[str, ActivityTotals] | None = None,
) -> Measured:
    """Everything known of one activity whose work is over.

    `cases`: what golden cases ask for. `beside`: the totals of all of the phase's activities, this one's
    among them: their shards start together.
    """
    account = _account(activity, state, totals, cases)
    rows = {
        name: tuple(_second(second, row) for second, row in seconds.items())
        for name, seconds in totals.grouped().items()
        if not name.startswith("@")  # made for tables; no expression can name it
    }
    missed = {
        name.removeprefix(MISSED_GROUP): tuple(_second(second, row) for second, row in seconds.items())
        for name, seconds in totals.grouped().items()
        if name.startswith(MISSED_GROUP)
    }
    start_s = state.phases[activity.phase].start_s or 0.0
    seen = {key: count for (group, key), count in account.scheduled.items() if group == JUDGED}
    unknown = sum(count for (group, _), count in account.unknown.items() if group == JUDGED)
    unsent = sum(count for (group, _), count in account.unsent.items() if group == JUDGED)
    last = max((second for _, second in totals.seconds), default=-1) + 1
    evidence = Evidence(
        activity=activity.key,
        kind=activity.kind,
        duration_s=activity.duration_s or float(last),
        warmup_s=activity.warmup_s,
        groups=rows,
        missed=missed,
        tries={
            second: {int(number): count for number, count in row.outcomes.items()}
            for second, row in totals.group(TRIES_GROUP).items()
        },
        scheduled=seen,
        in_flight=dict(totals.running),
        completions=dict(totals.completions),
        unknown=unknown,
        unsent_generator=unsent,
        # a case that a lost engine had asked is asked again, and is one case all the same
        coverage=_coverage(totals, cases.requests or sum(seen.values())),
        achieved=_achieved(
            totals, cases.requests or sum(seen.values()), end_s=activity.duration_s or float(last)
        ),
        lag_p99_s=_quantile(totals.sketch("lag"), 0.99),
        hub_delay_p99_s=_quantile(totals.hub_delay, 0.99),
        start_skew_s=_start_skew(state, {activity.key: totals} if beside is None else beside),
        busy_share=max((seen.busy_share for seen in totals.attempts.values()), default=None),
        faults=fault_spans(state, phase, start_s),
        stages=_stages(activity),
        regression=_case_counts(totals.cases.values()) if activity.kind == "regression" else None,
        cases=_cases_by_tag(totals.cases.values()),
        prices=prices,
        slos=slos,
        quantile_of=lambda group, series, q, seconds: _quantile_of(totals, group, series, q, seconds),
        ended_early=_ended_early(activity, state),
        lost_to=tuple(dict.fromkeys(gap.why for gap in account.gaps if gap.why)),
    )
    return Measured(activity, totals, account, evidence)


def seconds_since(totals: ActivityTotals, first: int) -> tuple[Second, ...]:
    """The rows of an activity that still runs from second `first` on, warm-up included, for `abort_if`."""
    return tuple(
        _second(second, row)
        for (group, second), row in totals.seconds.items()
        if second >= first and group in (WARMUP, JUDGED)
    )


def fault_spans(state: State, phase: PhasePlan, start_s: float) -> tuple[FaultSpan, ...]:
    """The phase's faults as they were done, on the phase's clock: one a step and host that did it."""
    return tuple(
        span
        for activity in phase.activities
        if activity.kind == "chaos"
        for attempt in state.attempts_of(activity.key)
        for number in range(len(activity.steps))
        if (span := _fault_span(activity, number, state, attempt=attempt, start_s=start_s)) is not None
    )


def _fault_span(
    activity: ActivityPlan, number: int, state: State, *, attempt: Attempt, start_s: float
) -> FaultSpan | None:
    said = [one for one in state.faults.get(attempt.id, ()) if one.step == number]
    seen = {one.what: one for one in said}
    injected, step = seen.get("injected"), activity.steps[number]
    if injected is None:
        return None
    reverted = seen.get("reverted")
    effects = [one for one in said if one.took_effect is not None]
    spoke = (seen.get("failed"), effects[-1] if effects else None, seen.get("verified"), injected)
    residue = seen.get("residue")
    return FaultSpan(
        name=activity.name,
        fault=step.fault,
        injected_s=injected.at_s - start_s,
        reverted_s=reverted.at_s - start_s if reverted is not None else None,
        uncertainty_s=injected.uncertainty_s,
        one_shot=step.for_s == 0,
        took_effect=effects[-1].took_effect if effects else None,
        why=next((one.why for one in spoke if one is not None and one.why), ""),
        # what a later try got rid of is not left
        residue=residue.why if residue is not None and reverted is None else "",
        step=number,
        worker=attempt.worker,
        host=attempt.host,
        processes=injected.processes,
        touched=injected.touched,
        intensity=step.intensity,
        did=next((one.did for one in reversed(said) if one.did), {}),
    )


def _ended_early(activity: ActivityPlan, state: State) -> str | None:
    """Why the campaign's end was this activity's too; None where its shards had done their work before."""
    if state.aborting is None:
        return None
    attempts = state.attempts_of(activity.key)
    done = {one.shard for one in attempts if one.exited is not None and one.exited.outcome == "done"}
    return None if done and done == {one.shard for one in attempts} else state.aborting.why


def _account(activity: ActivityPlan, state: State, totals: ActivityTotals, cases: CaseWork) -> Account:
    account = _accounted(activity, state, totals, cases)
    return with_unseen(account) if state.is_torn(activity.phase) else account


def _accounted(activity: ActivityPlan, state: State, totals: ActivityTotals, cases: CaseWork) -> Account:
    attempts = state.attempts_of(activity.key)
    of = attempts[0].of if attempts else 1
    shards: list[list[Attempt]] = [[] for _ in range(of)]
    for one in attempts:
        shards[one.shard].append(one)
    arrivals, start_s = activity.arrivals, state.phases[activity.phase].start_s or 0.0
    if isinstance(arrivals, OpenArrivals) and not activity.turns:
        return account_open(
            arrivals,
            warmup_s=activity.warmup_s,
            start_s=start_s,
            shards=shards,
            totals=totals,
            ends_with_data=activity.ends_with_data,
        )
    if arrivals is None:
        return account_cases(cases, start_s=start_s, attempts=attempts, totals=totals)
    if isinstance(arrivals, ClosedArrivals) and not activity.turns:
        return account_loop(arrivals, start_s=start_s, shards=shards, totals=totals)
    account = account_sessions(
        arrivals,
        turns=activity.turns,
        warmup_s=activity.warmup_s,
        start_s=start_s,
        shards=shards,
        totals=totals,
    )
    if isinstance(arrivals, ClosedArrivals):
        add_unheard(account, arrivals, start_s=start_s, shards=shards, totals=totals)
    return account


def _second(second: int, row: Totals) -> Second:
    sums = {
        series: SeriesSum(sketch.count, sketch.total, sketch.low, sketch.high)
        for series, sketch in row.sketches.items()
        if sketch.count
    }
    quantiles = {
        series: {0.99: row.sketches[series].quantile(0.99)}
        for series in SIGNALS
        if series in row.sketches and row.sketches[series].count
    }
    return Second(
        second=second,
        outcomes=dict(row.outcomes),
        bounds=dict(row.bounds),
        ok_tokens=row.output_tokens,
        tokens_absent=row.ok_without_tokens,
        sums=sums,
        quantiles=quantiles,
    )


def _coverage(totals: ActivityTotals, scheduled: int) -> float:
    """Share of the scheduled arrivals whose end was observed; what the target kept waiting too long was."""
    outcomes = totals.outcomes()
    observed = sum(outcomes.values()) - outcomes[ABANDONED] - outcomes[UNSENT_GENERATOR]
    return min(1.0, observed / scheduled) if scheduled else 1.0


def _achieved(totals: ActivityTotals, scheduled: int, *, end_s: float) -> float:
    """Share of the offered arrivals that the generator sent in time, or would have but for the target.

    One that its own lag carried beyond the schedule's end was not sent in time: a generator that takes 7 s
    for the arrivals of 3 s did not offer their rate. Wait and connect are the target's doing and not in lag.
    Rows are of whole seconds, so a lag of less than one is never beyond: the burst with which a recording
    of 9.001 s ends is sent in time.
    """
    outcomes = totals.outcomes()
    sent = sum(outcomes.values()) - outcomes[UNSENT_GENERATOR]
    overran = sum(
        lag.share_above(max(1.0, end_s - second)) * lag.count
        for second, row in totals.group(JUDGED).items()
        if (lag := row.sketches.get("lag", EMPTY)).count and second < end_s
    )
    return min(1.0, max(0.0, sent - overran) / scheduled) if scheduled else 1.0


def _quantile(sketch: Sketch, q: float) -> float | None:
    return sketch.quantile(q) if sketch.count else None


def _quantile_of(
    totals: ActivityTotals, group: str, series: str, q: float, seconds: frozenset[int]
) -> float | None:
    rows = (row for second, row in totals.group(group).items() if second in seconds)
    return _quantile(merge_all(row.sketches.get(series, EMPTY) for row in rows), q)


def _start_skew(state: State, totals: Mapping[str, ActivityTotals]) -> float | None:
    """How far apart the first attempts of the shards began, each against its own first intended time.

    What an activity's first second spent on connecting is the target's doing, and not counted.
    """
    firsts = {ids[0] for (activity, _), ids in state.shards.items() if activity in totals}
    lags: list[float] = []
    for one in totals.values():
        began = [seen.start_lag_s for id_, seen in one.attempts.items() if id_ in firsts]
        connect_s = _first_connect_s(one) if began else 0.0
        lags += [lag_s - min(connect_s, max(lag_s, 0.0)) for lag_s in began if lag_s is not None]
    return max(lags) - min(lags) if lags else None


def _first_connect_s(totals: ActivityTotals) -> float:
    """The longest that a request of the activity's first second took to connect."""
    began = [key for key in totals.seconds if key[0] in (JUDGED, WARMUP)]
    if not began:
        return 0.0
    first = min(began, key=lambda key: key[1])
    connect = totals.seconds[first].sketches.get("connect", EMPTY)
    return connect.high if connect.count else 0.0


def _stages(activity: ActivityPlan) -> dict[str, tuple[float, float]]:
    """Named stages and their span on the phase's clock."""
    found: dict[str, tuple[float, float]] = {}
    if isinstance(activity.arrivals, OpenArrivals):
        for segment in activity.arrivals.segments:
            if segment.stage:
                start_s = found.get(segment.stage, (segment.start_s, 0.0))[0]
                found[segment.stage] = (start_s, segment.end_s)
    return found


def _case_counts(cases: Iterable[CaseResult]) -> CaseCounts:
    results = list(cases)
    agreed = [case.agreed for case in results if case.agreed is not None]
    return CaseCounts(len(results), sum(case.passed for case in results), sum(agreed) if agreed else None)


def _cases_by_tag(cases: Iterable[CaseResult]) -> dict[str, CaseCounts]:
    by_tag: dict[str, list[CaseResult]] = {}
    for case in cases:
        for tag, value in case.tags.items():
            by_tag.setdefault(f"{tag}={value}", []).append(case)
    return {name: _case_counts(members) for name, members in by_tag.items()}


def sent_and_failed(outcomes: Counter[str]) -> tuple[int, int, int]:
    """(sent, ok, failed) of a group's outcomes.

    Failed holds what an engine left behind, so sent = ok + failed.
    """
    ok = outcomes["ok"]
    unsent = outcomes[UNSENT_TARGET] + outcomes[UNSENT_GENERATOR]
    sent = sum(outcomes.values()) - unsent
    return sent, ok, sent - ok
