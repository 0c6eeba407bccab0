from dataclasses import replace

import pytest

from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.report.charts.bins import MOST_BINS, bin_length_s, bins_of, per_second, quantile_points
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot


def _totals(seconds, *, value=lambda s: 0.1):
    totals = ActivityTotals()
    for second in seconds:
        sketch = to_wire(sketch_of([value(second)] * 4))
        cell = Cell(second, "", {"ok": 4}, {}, {"latency": sketch})
        totals.absorb(Snapshot("a", 0, "a:0:1", second + 1, 0.0, second, second, [], [cell]))
    return totals


@pytest.fixture
def measured(passed):
    """Some activity's measurements, to be given other totals."""
    return next(one for phase in passed.phases for one in phase.measured if one.plan.key == "steady")


@pytest.mark.parametrize(("length_s", "step_s"), [(60, 1), (600, 1), (900, 2), (3600, 10), (28_800, 50)])
def test_a_long_run_is_shown_in_as_many_bins_as_a_screen_has_room_for(length_s, step_s):
    assert bin_length_s(length_s) == step_s
    assert length_s / bin_length_s(length_s) <= MOST_BINS


def test_merging_bins_keeps_every_request_and_the_worst_second(measured):
    slow = _totals(range(1200), value=lambda s: 5.0 if s == 777 else 0.1)
    bins = bins_of(replace(measured, totals=slow), ("latency",), span_s=(0, 1200))
    assert sum(one.outcomes["ok"] for one in bins) == 4800
    highest = max(y for _, y in quantile_points(bins, "latency", 0.99) if y is not None)
    assert highest == pytest.approx(5.0, rel=0.01)


def test_a_second_without_answers_breaks_the_line_and_a_coarsened_one_does_not(measured):
    holed = _totals([s for s in range(60) if not 20 <= s < 25])
    bins = bins_of(replace(measured, totals=holed), ("latency",), span_s=(0, 60))
    broken = [x for x, y in quantile_points(bins, "latency", 0.5) if y is None]
    assert broken == [20.5, 21.5, 22.5, 23.5, 24.5]
    coarse = _totals(range(60))
    coarse.coarsen(before_s=60, keep=())
    bins = bins_of(replace(measured, totals=coarse), ("latency",), span_s=(0, 60))
    points = quantile_points(bins, "latency", 0.5)
    assert [x for x, _ in points] == [0.5, 10.5, 20.5, 30.5, 40.5, 50.5]
    assert all(y is not None for _, y in points)


def test_a_rate_is_per_second_however_long_the_bin(measured):
    bins = bins_of(replace(measured, totals=_totals(range(1200))), (), span_s=(0, 1200))
    assert {y for _, y in per_second(dict.fromkeys(range(1200), 7), bins)} == {7.0}
