"""Sketches and counts as report.json holds them: Q, `requests`, rates; never a NaN."""

import math
from typing import Any

from orchestrator.aggregate.evidence import Measured, sent_and_failed
from workers.contract.schedule import OpenArrivals
from workers.contract.sketch import Sketch
from workers.contract.snapshot import JUDGED, UNSENT_GENERATOR, UNSENT_TARGET

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
_DIGITS = 9
"""Times are told to the nanosecond: no clock here resolves less."""

_NOT_SENT = ("ok", UNSENT_TARGET, UNSENT_GENERATOR)


def quantities(sketch: Sketch) -> dict[str, float] | None:
    """Q of DESIGN.md section 6 in the sketch's unit; None where nothing was measured.

    Count, mean and max are exact, the quantiles within 0.5% (METRICS.md section 2).
    """
    if not sketch.count:
        return None
    found = {
        "mean": sketch.mean,
        **{name: sketch.quantile(q) for name, q in QUANTILES.items()},
        "max": sketch.high,
    }
    return {"count": sketch.count, **{name: round(value, _DIGITS) for name, value in found.items()}}


def requests(measured: Measured, group: str = JUDGED) -> dict[str, Any]:
    """Where every scheduled arrival of a group went: scheduled = ok + failed + unsent + unknown.

    Failed includes what an engine left behind (`abandoned` in `by_error`), so sent = ok + failed.
    """
    outcomes = measured.totals.outcomes(group)
    sent, ok, failed = sent_and_failed(outcomes)
    by_target = outcomes[UNSENT_TARGET]
    by_generator = _count(measured.account.unsent, group)
    if not isinstance(measured.plan.arrivals, OpenArrivals):
        by_generator += outcomes[UNSENT_GENERATOR]  # the account of a schedule holds them already
    return {
        "scheduled": _count(measured.account.scheduled, group),
        "sent": sent,
        "ok": ok,
        "failed": failed,
        "unsent": by_target + by_generator,
        "unknown": _count(measured.account.unknown, group),
        "unsent_by": {"target": by_target, "generator": by_generator},
        "by_error": {name: n for name, n in outcomes.most_common() if n and name not in _NOT_SENT},
    }


def judged_span_s(measured: Measured) -> float:
    """Length of [warmup, duration) in seconds: what rates are divided by."""
    return max(0.0, measured.evidence.duration_s - measured.evidence.warmup_s)


def per_second(number: float, span_s: float) -> float | None:
    """A count as a rate; None over a span of no length."""
    return round(number / span_s, 6) if span_s > 0 else None


def finite(value: Any) -> Any:
    """The same JSON value with every NaN and infinity as null: JSON knows none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value


def _count(counter: dict[tuple[str, int], int], group: str) -> int:
    return sum(number for (name, _), number in counter.items() if name == group)
