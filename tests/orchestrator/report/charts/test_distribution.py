from dataclasses import dataclass, field

import pytest

from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.report.charts.distribution import distribution_chart
from orchestrator.report.charts.picture import draw
from workers.contract.sketch import Sketch, sketch_of


@dataclass
class Totals:
    """Only what the chart asks for: sketches by quantity."""

    sketches: dict[str, Sketch] = field(default_factory=dict)

    def sketch(self, quantity: str, *, group: str = "") -> Sketch:
        return self.sketches.get(quantity, ActivityTotals().sketch(quantity, group=group))


@dataclass
class Measured:
    totals: Totals


def chart_of(latencies):
    return distribution_chart(Measured(Totals({"latency": sketch_of(latencies)})))


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 1000])
def test_as_few_requests_as_one_have_a_distribution_that_can_be_drawn(count):
    chart = chart_of([0.01 * (place + 1) for place in range(count)])
    assert chart.y.low < chart.y.high
    assert "<path" in draw(chart)


def test_nothing_answered_is_no_picture():
    assert distribution_chart(Measured(Totals())) is None
