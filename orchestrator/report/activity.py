"""One activity's part of report.json: what was asked, sent, answered, how fast, and by whom."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from orchestrator.aggregate.evidence import Measured
from orchestrator.campaign.models import FileData
from orchestrator.facts import Attempt
from orchestrator.plan import ActivityPlan
from orchestrator.report.aliases import aliases
from orchestrator.report.capacity import capacity, held_back, limited_by
from orchestrator.report.clients import clients_section
from orchestrator.report.quantities import judged_span_s, per_second, quantities, requests
from orchestrator.report.requests import failed_request, slow_request
from orchestrator.report.tables import is_apart, tables, too_many
from orchestrator.results.outcome import Outcome
from orchestrator.slo.validity import cautions
from orchestrator.verdict import ActivityVerdict
from workers.contract.snapshot import JUDGED, QUANTITIES, WARMUP, CaseResult

MOST_CASES = 50
"""Failed golden cases that a report lists; the count says how many there were."""
MOST_GAPS = 200
MOST_ATTEMPTS = 500

TREND_NEEDS_S = 300.0
"""24 blocks of 10 one-second points, after a fifth is dropped: METRICS.md section 6."""


def activity_section(
    plan: ActivityPlan, verdict: ActivityVerdict, measured: Measured | None, outcome: Outcome
) -> dict[str, Any]:
    """Everything that is told of one activity; a fault has no traffic of its own, so no requests."""
    attempts = outcome.state.attempts_of(plan.key)
    said: dict[str, Any] = {
        "kind": plan.kind,
        "phase": plan.phase,
        "target": plan.target,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "attempts": [_attempt(one) for one in _told_of(attempts)],
    }
    if plan.kind == "soak":
        said["trend"] = _trend(plan)
    if measured is None:
        return said
    of_hosts = capacity(measured, attempts, outcome.fleet)
    said |= _measured(measured, plan)
    said["generator"] |= {"good_to": of_hosts.good_to, "peak": of_hosts.peak, "unit": of_hosts.unit}
    held = held_back(plan, said["rate_per_s"] or 0.0, outcome.ceilings.get(plan.key))
    limits = (of_hosts.caution, held, limited_by(plan, attempts, outcome.fleet))
    cautioned = (*cautions(measured.evidence, outcome.campaign.validity), *limits)
    named = too_many(measured, _tags(plan, outcome))
    said["warnings"] = [*filter(None, cautioned), *named, *said["warnings"], *_left_out(measured, attempts)]
    return said


def _told_of(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """The attempts that are listed: where there are too many, first those that did not do all of theirs."""
    if len(attempts) <= MOST_ATTEMPTS:
        return attempts
    return sorted(attempts, key=lambda one: one.exited is not None and one.exited.outcome == "done")[
        :MOST_ATTEMPTS
    ]


def _left_out(measured: Measured, attempts: Sequence[Attempt]) -> Iterator[str]:
    """What is not listed, for it is too much: the counts have it all the same."""
    gaps = measured.account.gaps
    if rest := gaps[MOST_GAPS:]:
        unsent, unknown = sum(one.unsent for one in rest), sum(one.unknown for one in rest)
        yield (
            f"{len(rest):,} of {len(gaps):,} gaps are not listed here, with {unsent:,} unsent and "
            f"{unknown:,} unknown arrivals"
        )
    if len(attempts) > MOST_ATTEMPTS:
        short = len(attempts) - MOST_ATTEMPTS
        yield f"{short:,} of {len(attempts):,} attempts are not listed here: journal.jsonl has them all"


def _trend(plan: ActivityPlan) -> dict[str, str]:
    short = plan.duration_s < TREND_NEEDS_S
    why = "too short for a trend to be claimed" if short else "no trend was computed for this run"
    return {"verdict": "not judged", "why": why}


def _measured(measured: Measured, plan: ActivityPlan) -> dict[str, Any]:
    evidence, totals = measured.evidence, measured.totals
    span_s = judged_span_s(measured)
    counted = requests(measured)
    outcomes = totals.group(JUDGED).values()
    output = sum(row.output_tokens for row in outcomes)
    found: dict[str, Any] = {
        "duration_s": round(evidence.duration_s, 6),
        "warmup_s": evidence.warmup_s,
        "coverage": evidence.coverage,
        "achieved": evidence.achieved,
        "requests": counted,
        "rate_per_s": per_second(counted["sent"], span_s),
        "throughput_per_s": per_second(counted["ok"], span_s),
        **_series(measured, JUDGED),
        "tokens": {"input": sum(row.input_tokens for row in outcomes), "output": output},
        "ok_without_tokens": sum(row.ok_without_tokens for row in outcomes),
        "generator": _generator(measured),
        "gaps": [_gap(one) for one in measured.account.gaps[:MOST_GAPS]],
        "errors": [failed_request(one) for one in totals.examples],
        "slowest": [slow_request(one) for one in totals.slowest],
        "warnings": list(totals.warnings),
        "groups": _groups(measured),
        "tables": tables(measured),
    }
    if output:
        found["output_tokens_per_s"] = per_second(output, span_s)
    if WARMUP in totals.groups() or evidence.warmup_s:
        found["warmup"] = {"requests": requests(measured, WARMUP), **_series(measured, WARMUP, ("latency",))}
    found |= clients_section(totals)
    if plan.kind == "regression":
        found["cases"] = _cases(measured)
    other = aliases(totals)
    return found | ({"aliases": other} if other else {})


def _tags(plan: ActivityPlan, outcome: Outcome) -> tuple[str, ...]:
    """Columns that an activity's data calls tags."""
    phase = next(one for one in outcome.campaign.phases if one.name == plan.phase)
    data = next(getattr(one, "data", None) for one in phase.activities if one.name == plan.name)
    return data.tags if isinstance(data, FileData) else ()


def _series(measured: Measured, group: str, names: tuple[str, ...] = QUANTITIES) -> dict[str, Any]:
    """`latency_s`, `ttft_s` ... of a group; what was not measured is absent."""
    found = {f"{name}_s": quantities(measured.totals.sketch(name, group=group)) for name in names}
    return {name: q for name, q in found.items() if q is not None}


def _groups(measured: Measured) -> dict[str, Any]:
    """Rows of a tag's value or of a named stage, where any were counted apart."""
    names = [name for name in measured.totals.groups() if is_apart(name)]
    return {
        name: {
            "outcomes": dict(measured.totals.outcomes(name).most_common()),
            **_series(measured, name, ("latency", "ttft")),
        }
        for name in sorted(names)
    }


def _generator(measured: Measured) -> dict[str, Any]:
    """How much the generator itself was in the way: METRICS.md section 3."""
    evidence, totals = measured.evidence, measured.totals
    return {
        "lag_p99_s": evidence.lag_p99_s,
        "hub_delay_p99_s": evidence.hub_delay_p99_s,
        "start_skew_s": evidence.start_skew_s,
        "busy_share": evidence.busy_share,
        "snapshot_holes": sum(seen.holes for seen in totals.attempts.values()),
        "twice": measured.account.twice,
    }


def _gap(gap: Any) -> dict[str, Any]:
    return {
        name: getattr(gap, name)
        for name in ("shard", "attempt", "from_s", "until_s", "unknown", "unsent", "why")
    }


def _cases(measured: Measured) -> dict[str, Any]:
    """Golden cases: how many were judged, how many passed, and the first that did not."""
    cases = sorted(measured.totals.cases.values(), key=lambda one: one.row)
    failed = [one for one in cases if not one.passed]
    return {
        "judged": len(cases),
        "passed": len(cases) - len(failed),
        "failed_count": len(failed),
        "failed": [_case(one) for one in islice(failed, MOST_CASES)],
    }


def _case(case: CaseResult) -> dict[str, Any]:
    return {
        "row": case.row,
        "case": case.case,
        "outcome": case.outcome,
        "why": case.why,
        "latency_s": case.latency_s,
        "tags": dict(case.tags),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    """One try at a shard: where it ran and how it ended; `outcome` is lost where nobody heard its end."""
    outcome, why = "unfinished", ""
    if attempt.exited is not None:
        outcome, why = attempt.exited.outcome, attempt.exited.why
    elif attempt.lost is not None:
        outcome, why = "lost", attempt.lost.why
    return {
        "attempt": attempt.id,
        "shard": attempt.shard,
        "of": attempt.of,
        "number": attempt.number,
        "worker": attempt.worker,
        "host": attempt.host,
        "outcome": outcome,
        "why": why,
    }
