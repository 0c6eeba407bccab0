"""Single requests in report.json: the slowest of an activity, some that failed, and what was kept of all."""

from typing import Any, Final

from orchestrator.aggregate.evidence import Measured
from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.facts import State
from orchestrator.results.outcome import Outcome
from workers.contract.samples import NOT_SAMPLED
from workers.contract.snapshot import JUDGED, WARMUP, ErrorExample, SlowRequest

MOST_WHYS: Final = 10

_SLOW = (
    "request_id", "trace_id", "outcome", "status", "intended_s", "latency_s", "service_time_s", "ttft_s",
    "asked", "answered",
)  # fmt: skip
_FAILED = ("outcome", "text", "request_id", "trace_id", "intended_s", "excerpt")


def slow_request(slow: SlowRequest) -> dict[str, Any]:
    """One of the slowest; `ttft_s` is absent where nothing was streamed."""
    found = {name: getattr(slow, name) for name in _SLOW}
    return found if slow.ttft_s is not None else {name: found[name] for name in _SLOW if name != "ttft_s"}


def failed_request(example: ErrorExample) -> dict[str, Any]:
    """One that failed, standing for others of its kind."""
    return {name: getattr(example, name) for name in _FAILED}


def samples_section(measured: Measured, outcome: Outcome) -> dict[str, Any]:
    """`samples` of an activity that keeps them; {} of one that does not.

    `missing`: requests that were picked and of which no row stood at the runs URL when the report was made.
    """
    share = measured.plan.samples
    if not share:
        return {}
    rows, files = outcome.samples.get(measured.plan.key, (0, 0))
    return {
        "samples": {
            "share": share,
            "rows": rows,
            "files": files,
            "missing": max(0, picked(measured.totals, share) - rows),
            "why": _whys(measured.plan.key, outcome.state),
        }
    }


def picked(totals: ActivityTotals, share: float) -> int:
    """How many requests should have a row.

    Of all of them by their outcomes, which are known of an engine that died, too; of a share by what the
    engines said, which may lack the last second of one that died with its worker.
    """
    if share < 1:
        return totals.sampled
    return sum(
        count
        for group in (JUDGED, WARMUP)
        for name, count in totals.outcomes(group).items()
        if name not in NOT_SAMPLED
    )


def _whys(activity: str, state: State) -> list[str]:
    """Why rows are missing, as the workers said it."""
    said = (
        attempt.exited.samples_why for attempt in state.attempts_of(activity) if attempt.exited is not None
    )
    return list(dict.fromkeys(filter(None, said)))[:MOST_WHYS]
