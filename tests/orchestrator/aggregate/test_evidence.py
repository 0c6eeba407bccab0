"""What the coordinator concludes of an activity from its totals and its journal."""

import pytest

from orchestrator.aggregate.evidence import _achieved
from orchestrator.aggregate.totals import ActivityTotals
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot


def totals_of(lags_s: dict[int, list[float]]) -> ActivityTotals:
    """Totals in which every second's requests were sent with these lags."""
    cells = [
        Cell(second, "", {"ok": len(lags)}, {}, {"lag": to_wire(sketch_of(lags))})
        for second, lags in lags_s.items()
    ]
    totals = ActivityTotals()
    totals.add(Snapshot("load", 0, "load:0:1", 1, 0.0, 0, 0, [], cells))
    return totals


def test_what_lag_carried_beyond_the_schedules_end_was_not_offered_in_time():
    totals = totals_of({0: [0.5] * 100, 1: [1.5] * 100, 2: [2.5] * 100})
    assert _achieved(totals, 300, end_s=3.0) == pytest.approx(2 / 3)


def test_a_late_start_that_was_caught_up_with_is_achieved():
    totals = totals_of({0: [0.9] * 100, 1: [0.01] * 100, 2: [0.01] * 100})
    assert _achieved(totals, 300, end_s=3.0) == 1.0
    assert _achieved(totals, 400, end_s=3.0) == 0.75, "the rest was never sent"
