"""How times are distributed: the share of requests slower than each time; logarithmic, for the tail."""

from math import log10

import numpy as np

from orchestrator.aggregate.evidence import Measured
from orchestrator.report.charts.axis import Axis, logarithmic
from orchestrator.report.charts.picture import Chart, Line
from orchestrator.report.formats import duration, share
from workers.contract.sketch import Sketch
from workers.contract.snapshot import JUDGED

POINTS = 160
_LEAST_SHARE = 1e-5
_MOST_LOW = 0.1
"""The axis ends at 1: one request alone must not make it begin there too."""
_SHOWN = (("latency", 1), ("service_time", 3), ("ttft", 2), ("itl", 4))


def distribution_chart(measured: Measured) -> Chart | None:
    """Curves of the judged span's request-series; None where nothing was answered."""
    sketches = {name: measured.totals.sketch(name, group=JUDGED) for name, _ in _SHOWN}
    measured_ones = {name: one for name, one in sketches.items() if one.count}
    if "latency" not in measured_ones:
        return None
    values = [
        value for one in measured_ones.values() for value in (one.quantile(0.01), one.high) if value > 0
    ]
    if not values:
        return None
    least = 1 / max(one.count for one in measured_ones.values())
    low = max(_LEAST_SHARE, min(_MOST_LOW, 10.0 ** np.floor(log10(least))))
    decades = round(-log10(low))
    y = Axis(low, 1.0, tuple(10.0**-power for power in range(decades, -1, -1)), log=True)
    lines = tuple(
        Line(name.replace("_", " "), _curve(measured_ones[name]), tone)
        for name, tone in _SHOWN
        if name in measured_ones
    )
    return Chart(
        title="Distribution",
        x=logarithmic(values),
        y=y,
        say_x=duration,
        say_y=share,
        lines=lines,
        x_name="time",
        note="share of requests that took longer",
    )


def _curve(sketch: Sketch) -> tuple[tuple[float, float], ...]:
    """(time, share above it), close together in the tail; down to one request."""
    least = 1 / sketch.count
    shares = np.geomspace(0.99, max(least, _LEAST_SHARE), POINTS)
    found = dict.fromkeys((sketch.quantile(1 - one), float(one)) for one in shares.tolist())
    return tuple(point for point in found if point[0] > 0)
