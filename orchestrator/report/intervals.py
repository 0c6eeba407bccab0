"""intervals.parquet: one row an activity, group and second of intended time, for one's own analysis.

Times are seconds; quantiles within 0.5%. A quantity that a second does not have is null. Sketches of long
runs are merged to 10 s: such a block's quantiles stand in its first second, its counts in every second.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pandas as pd

from orchestrator.aggregate.evidence import Measured, sent_and_failed
from orchestrator.aggregate.totals import Totals
from orchestrator.plan import ActivityPlan
from orchestrator.results.outcome import Outcome
from workers.contract.schedule import OpenArrivals
from workers.contract.snapshot import (
    ABANDONED,
    ENDPOINT_GROUP,
    JUDGED,
    QUANTITIES,
    TRIES_GROUP,
    UNSENT_GENERATOR,
    UNSENT_TARGET,
    WARMUP,
)

SHOWN = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

_COUNTS = (
    "scheduled", "sent", "ok", "failed", "abandoned", "unsent_target", "unsent_generator", "unknown",
    "completions", "in_flight", "input_tokens", "output_tokens",
)  # fmt: skip
_TIMES = tuple(f"{name}_{which}_s" for name in QUANTITIES for which in ("mean", *SHOWN, "max"))
_TEXTS = ("phase", "activity", "kind", "group", "outcomes")


def intervals_parquet(outcome: Outcome) -> bytes:
    """All seconds of all activities; `start_s` is the common time at which the row's second began."""
    rows = [row for measured in _all(outcome) for row in _rows(measured, outcome)]
    frame = pd.DataFrame(rows, columns=[*_TEXTS, "second", "start_s", *_COUNTS, *_TIMES])
    types = dict.fromkeys(_TEXTS, "string") | dict.fromkeys(("second", *_COUNTS), "Int64")
    frame = frame.astype(types | dict.fromkeys(("start_s", *_TIMES), "float64"))
    body = BytesIO()
    frame.to_parquet(body, index=False, compression="zstd")
    return body.getvalue()


def _all(outcome: Outcome) -> Iterator[Measured]:
    for phase in outcome.phases:
        yield from phase.measured


def _rows(measured: Measured, outcome: Outcome) -> Iterator[dict[str, Any]]:
    plan, totals, account = measured.plan, measured.totals, measured.account
    start_s = outcome.state.phases[plan.phase].start_s or 0.0
    keys = {*totals.seconds, *account.scheduled, *account.unknown, *account.unsent}
    for group, second in sorted(keys):
        if group == TRIES_GROUP or group.startswith(ENDPOINT_GROUP):  # no outcomes; known as a whole alone
            continue
        row = _counts(plan, totals.seconds.get((group, second), Totals()))
        row |= {"group": group or "judged", "second": second, "start_s": start_s + second}
        if group in (JUDGED, WARMUP):
            row |= {"scheduled": account.scheduled.get((group, second), 0)}
            row |= {"unknown": account.unknown.get((group, second), 0)}
            if isinstance(plan.arrivals, OpenArrivals):
                row["unsent_generator"] = account.unsent.get((group, second), 0)
            # of the whole activity, so they stand once a second: in the judged row where there is one
            if group == JUDGED or (JUDGED, second) not in keys:
                row |= {
                    "completions": totals.completions.get(second, 0),
                    "in_flight": totals.running.get(second),
                }
        yield row


def _counts(plan: ActivityPlan, row: Totals) -> dict[str, Any]:
    sent, ok, failed = sent_and_failed(row.outcomes)
    found: dict[str, Any] = {
        "phase": plan.phase,
        "activity": plan.key,
        "kind": plan.kind,
        "outcomes": " ".join(f"{name}={n}" for name, n in sorted(row.outcomes.items())),
        "sent": sent,
        "ok": ok,
        "failed": failed,
        "abandoned": row.outcomes[ABANDONED],
        "unsent_target": row.outcomes[UNSENT_TARGET],
        "unsent_generator": row.outcomes[UNSENT_GENERATOR],
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
    }
    for name in QUANTITIES:
        sketch = row.sketches.get(name)
        if sketch is not None and sketch.count:
            found |= {f"{name}_mean_s": sketch.mean, f"{name}_max_s": sketch.high}
            found |= {f"{name}_{which}_s": sketch.quantile(q) for which, q in SHOWN.items()}
    return found
