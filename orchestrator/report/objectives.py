"""Every judgement as a line of report.json's `slos`, with the margin that was left to its bound."""

from typing import Any

from orchestrator.judging.answers import DOCUMENTED
from orchestrator.results.outcome import Outcome
from orchestrator.slo.evidence import Judgement
from orchestrator.slo.expressions import DEFAULT_WINDOW_S, Alert, Comparison, Expression, Gauge, Place
from orchestrator.slo.parse import parse
from orchestrator.slo.words import seconds


def objective_sections(outcome: Outcome) -> list[dict[str, Any]]:
    """The judgements of all phases in the file's order, then the campaign's `abort_if`."""
    found = [_line(judgement, phase.phase) for phase in outcome.phases for judgement in phase.judgements]
    return found + [_abort_line(one, outcome) for one in outcome.campaign.abort_if]


def allowance_used(*, observed: float | None, bound: float, op: str, unit: str) -> float | None:
    """How much of what a bound allows was used up: 1 is exactly at it, above 1 is beyond.

    For shares that must be high it is the part of the error budget; None where no such number makes sense.
    """
    if observed is None:
        return None
    if op in ("<", "<="):
        return observed / bound if bound > 0 else None
    if op in (">", ">="):
        if unit == "fraction" and bound < 1:
            return (1 - observed) / (1 - bound)
        return bound / observed if observed > 0 and unit != "fraction" else None
    return None


def _line(judgement: Judgement, phase: str) -> dict[str, Any]:
    place: Place = "expect" if judgement.place == "expect" else "slos"
    answers = judgement.slo.startswith(DOCUMENTED)
    op, unit = ("<=", "requests") if answers else _op_and_unit(parse(judgement.slo, place=place))
    return {
        "slo": judgement.slo,
        "place": judgement.place,
        "phase": phase,
        "activity": judgement.activity,
        "verdict": judgement.verdict,
        "observed": judgement.observed,
        "bound": judgement.bound,
        "op": op,
        "unit": unit,
        "allowance_used": allowance_used(
            observed=judgement.observed, bound=judgement.bound, op=op, unit=unit
        ),
        "samples": judgement.samples,
        "effective_samples": judgement.effective_samples,
        "why": judgement.why,
    }


def _op_and_unit(expression: Expression) -> tuple[str, str]:
    """The comparison and its base unit; `never` and `always` allow no request that breaks them."""
    match expression.body:
        case Comparison(op=op, unit=unit):
            return op, unit
        case Alert(event="never_fires"):
            return "<=", "firings"
        case Alert() | Gauge():
            return "<=", "s"
        case _:
            return "<=", "requests"


def _abort_line(expression: Expression, outcome: Outcome) -> dict[str, Any]:
    """An `abort_if`, looked at each second of the run: only that it became true, or never did, is known."""
    aborting = outcome.state.aborting
    fired = (
        aborting is not None and aborting.by == "abort_if" and aborting.why.startswith(f"{expression.text}: ")
    )
    op, unit = _op_and_unit(expression)
    return {
        "slo": expression.text,
        "place": "abort_if",
        "phase": "",
        "activity": "",
        "verdict": "fail" if fired else "pass",
        "observed": None,
        "bound": expression.body.bound if isinstance(expression.body, Comparison) else 0.0,
        "op": op,
        "unit": unit,
        "allowance_used": None,
        "samples": 0,
        "effective_samples": None,
        "why": aborting.why if fired and aborting is not None else _never(expression, outcome),
    }


def _never(expression: Expression, outcome: Outcome) -> str:
    """That it never became true, or never could: it is looked at once its window has run."""
    window_s = max(expression.suffixes.over_s, default=DEFAULT_WINDOW_S)
    loads = (one for phase in outcome.phases for one in phase.measured if one.plan.is_load)
    if window_s > max((one.evidence.duration_s for one in loads), default=0.0):
        return f"never looked at: no traffic lasted as long as its window of {seconds(window_s)}"
    return "never became true"
