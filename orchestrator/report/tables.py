"""One activity's requests apart: by segment, stage, endpoint and outcome, each with counts, rate and times.

A segment is a value of a row's tag: of those that an expression names, and of the tags in `data.tags` that
have few values (`workers.engine.segments` says how few).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.aggregate.evidence import Measured, sent_and_failed
from orchestrator.aggregate.totals import Totals
from orchestrator.report.quantities import judged_span_s, per_second, quantities
from workers.contract.sketch import EMPTY, merge_all
from workers.contract.snapshot import (
    ENDPOINT_GROUP,
    JUDGED,
    MOST_VALUES,
    OUTCOME_GROUP,
    UNSENT_GENERATOR,
    UNSENT_TARGET,
    WARMUP,
)

STAGE_GROUP = "stage="
_TIMES = ("latency", "service_time", "ttft", "tpot")
_REST = "(others)"


def tables(measured: Measured) -> dict[str, Any]:
    """`segments`, `stages`, `endpoints` and `outcomes`, each name -> row; those that hold any."""
    groups = measured.totals.grouped()
    span_s = judged_span_s(measured)
    found: dict[str, Any] = {
        "segments": _segments(groups, span_s),
        "stages": _stages(measured, groups),
        "endpoints": {
            name.removeprefix(ENDPOINT_GROUP): row_of(rows, span_s)
            for name, rows in sorted(groups.items())
            if name.startswith(ENDPOINT_GROUP)
        },
        "outcomes": _outcomes(groups, span_s),
    }
    return {name: table for name, table in found.items() if table}


def row_of(rows: Mapping[int, Totals], span_s: float) -> dict[str, Any]:
    """Counts, rates and times of requests of one kind; `span_s`: what the rates are divided by.

    `success` is what the SLO `success_rate` would be: ok / (ok + failed + target-unsent).
    """
    outcomes = Counter[str]()
    for row in rows.values():
        outcomes.update(row.outcomes)
    found = _counts(outcomes, span_s)
    for name in _TIMES:
        q = quantities(merge_all(row.sketches.get(name, EMPTY) for row in rows.values()))
        if q is not None:
            found[f"{name}_s"] = q
    return found


def _counts(outcomes: Counter[str], span_s: float) -> dict[str, Any]:
    sent, ok, failed = sent_and_failed(outcomes)
    counted = ok + failed + outcomes[UNSENT_TARGET]
    return {
        "sent": sent,
        "ok": ok,
        "failed": failed,
        "unsent": outcomes[UNSENT_TARGET] + outcomes[UNSENT_GENERATOR],
        "rate_per_s": per_second(sent, span_s),
        "success": round(ok / counted, 9) if counted else None,
    }


def _segments(groups: Mapping[str, Mapping[int, Totals]], span_s: float) -> dict[str, Any]:
    """Rows by tag and value; a tag of which only some values are told apart ends with the rest's counts."""
    names = [name for name in groups if "=" in name and not name.startswith((STAGE_GROUP, "@"))]
    whole = _outcomes_of(groups.get(JUDGED, {}))
    found: dict[str, Any] = {}
    for tag in sorted({name.partition("=")[0] for name in names}):
        rest = Counter(whole)
        for name in sorted(one for one in names if one.partition("=")[0] == tag):
            found[name] = row_of(groups[name], span_s)
            rest.subtract(_outcomes_of(groups[name]))
        if rest := +rest:
            found[f"{tag}={_REST}"] = _counts(rest, span_s)
    return found


def _stages(measured: Measured, groups: Mapping[str, Mapping[int, Totals]]) -> dict[str, Any]:
    """Named stages in the order of the schedule; rates over what of them is judged."""
    warm_s = measured.evidence.warmup_s
    return {
        name: row_of(groups.get(STAGE_GROUP + name, {}), max(0.0, end_s - max(start_s, warm_s)))
        for name, (start_s, end_s) in measured.evidence.stages.items()
        if STAGE_GROUP + name in groups
    }


def _outcomes(groups: Mapping[str, Mapping[int, Totals]], span_s: float) -> dict[str, Any]:
    """How requests ended: count, share of all, and how long they took, each by itself."""
    outcomes = _outcomes_of(groups.get(JUDGED, {}))
    whole = sum(outcomes.values())
    found: dict[str, Any] = {}
    for name, number in outcomes.most_common():
        if not number:
            continue
        row: dict[str, Any] = {
            "count": number,
            "share": round(number / whole, 9),
            "rate_per_s": per_second(number, span_s),
        }
        group, series = (JUDGED, "latency") if name == "ok" else (OUTCOME_GROUP + name, "latency_failed")
        q = quantities(merge_all(one.sketches.get(series, EMPTY) for one in groups.get(group, {}).values()))
        found[name] = row | ({"latency_s": q} if q is not None else {})
    return found


def _outcomes_of(rows: Mapping[int, Totals]) -> Counter[str]:
    found = Counter[str]()
    for row in rows.values():
        found.update(row.outcomes)
    return found


def too_many(measured: Measured, tags: Sequence[str]) -> tuple[str, ...]:
    """Of the tags that the data names, those with too many values to be told apart, in words."""
    told = {name.partition("=")[0] for name in measured.totals.groups()}
    if not measured.totals.outcomes():
        return ()
    return tuple(
        f"the rows are not shown by {tag}: it has more than {MOST_VALUES} values"
        for tag in tags
        if tag not in told
    )


def is_apart(group: str) -> bool:
    """Whether a group is shown by itself, by its name: neither the whole nor one that tables are made of."""
    return group not in (JUDGED, WARMUP) and not group.startswith("@")
