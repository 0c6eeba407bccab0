"""What `abort_if` says of a trailing window: plain values, no claims (METRICS.md section 5).

A stop that comes too early costs a run, one too late a service.
"""

from collections.abc import Callable, Mapping, Sequence
from math import floor

from orchestrator.slo.burn import burn_rate, strictest_objective
from orchestrator.slo.counted import judge_outcomes
from orchestrator.slo.evidence import Second
from orchestrator.slo.expressions import (
    DEFAULT_WINDOW_S,
    Comparison,
    Expression,
    Goodput,
    Outcomes,
    Quantile,
    Scalar,
    Stat,
)
from orchestrator.slo.findings import holds
from orchestrator.slo.sampled import share_rule
from orchestrator.slo.spans import Span
from orchestrator.slo.words import bound_text, percent, quantity, seconds, value_text


def breached(
    expression: Expression, pooled: Sequence[Second], *, now_s: float, slos: Sequence[Expression] = ()
) -> str | None:
    """Why the campaign must stop, in words, or None.

    `pooled`: the rows of all running loads and soaks, warm-up included; several may be of one second.
    `now_s`: seconds since the phase's start. `slos`: those on what is pooled; burn_rate takes the strictest
    success_rate of them. True over every window of `over W [and W]` (default 1m) means stop, and so does a
    full window without any data. Not before the longest window has run.
    Raises ValueError for a form that has no place in `abort_if`, and for burn_rate without an objective.
    """
    windows_s = expression.suffixes.over_s or (DEFAULT_WINDOW_S,)
    if now_s < max(windows_s):
        return None
    reasons = [_stops(expression, _trailing(pooled, now_s, window_s), slos) for window_s in windows_s]
    said = [reason for reason in reasons if reason]
    return f"{expression.text}: {' and '.join(said)}" if len(said) == len(reasons) else None


def _stops(expression: Expression, span: Span, slos: Sequence[Expression]) -> str | None:
    """Why one window calls for a stop, or None."""
    over = f"over the last {seconds(span.length_s)}"
    body = expression.body
    if not any(row.counted for row in span.rows):
        return f"no request was answered or failed {over}"
    if isinstance(body, Outcomes):
        finding = judge_outcomes(body, span)
        return f"{finding.why} {over}" if finding.verdict == "pass" else None
    if not isinstance(body, Comparison):
        raise ValueError(f"{expression.text!r} has no place in abort_if")  # noqa: TRY004  # not a type's fault
    if isinstance(body.value, Quantile):
        return _quantile_stops(body, body.value, span, over)
    value = _value(body, span, slos)
    if value is None:
        return f"no value of {value_text(body.value)} was measured {over}"
    if not holds(value, body.op, body.bound):
        return None
    return f"{value_text(body.value)} was {quantity(value, body.unit)} {over}"


def _quantile_stops(comparison: Comparison, quantile: Quantile, span: Span, over: str) -> str | None:
    """`p99(latency) > 2s` holds where more than 1% of the requests are over 2 s."""
    rule = share_rule(comparison)
    counts = [rule.counts(row) for row in span.rows]
    n, beyond = sum(one.n for one in counts), sum(one.over for one in counts)
    if n == 0:
        return f"no value of {quantile.series} was measured {over}"
    # The rule counts those against the comparison; it holds where they are few enough. Of p99(x) > b these
    # are the ones not over b, and "few enough" leaves more than 1% beyond it.
    share = beyond / n
    allowed = 1 - quantile.q
    stops = share <= allowed if comparison.op in {"<", "<="} else 1 - share > allowed
    if not stops:
        return None
    said = f"{value_text(quantile)} was {bound_text(comparison)} {over}"
    return f"{said}: {percent(share)} of {n:,} were {rule.over}"


def _value(comparison: Comparison, span: Span, slos: Sequence[Expression]) -> float | None:
    rows = span.rows
    match comparison.value:
        case Goodput():
            rule = share_rule(comparison)
            counts = [rule.counts(row) for row in rows]
            n = sum(one.n for one in counts)
            over = sum(one.over for one in counts) / n if n else 0.0
            met = 1 - over if comparison.op in {">", ">="} else over
            return met if n else None
        case Stat(which=which, series=series):
            return _stat(which, series, rows)
        case Scalar(name="burn_rate"):
            return burn_rate(rows, objective_share=strictest_objective(slos))
        case Scalar(name=name) if name in _PER_SPAN:
            counted = sum(row.counted for row in rows)
            total = sum(_PER_SPAN[name](row) for row in rows)
            return total / (counted if name == "success_rate" else span.length_s)
        case _:
            raise ValueError(f"{value_text(comparison.value)} has no place in abort_if")


_PER_SPAN: Mapping[str, Callable[[Second], int]] = {
    "success_rate": lambda row: row.ok,
    "throughput": lambda row: row.ok,
    "rate": lambda row: row.sent,
    "tokens_per_s": lambda row: row.ok_tokens,
}


def _stat(which: str, series: str, rows: Sequence[Second]) -> float | None:
    sums = [row.sums[series] for row in rows if series in row.sums and row.sums[series].count]
    if not sums:
        return None
    if which == "mean":
        return sum(one.sum for one in sums) / sum(one.count for one in sums)
    return max(one.max for one in sums) if which == "max" else min(one.min for one in sums)


def _trailing(pooled: Sequence[Second], now_s: float, window_s: float) -> Span:
    end = floor(now_s)
    inside = frozenset(range(end - round(window_s), end))
    rows = tuple(row for row in pooled if row.second in inside)
    return Span(rows=rows, seconds=inside, length_s=window_s)
