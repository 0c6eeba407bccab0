"""A chart as data, and its drawing as a figure of HTML and SVG.

The plot stretches to any width (`preserveAspectRatio="none"`, strokes that do not scale); its labels are text
of the page, so they stay readable on a phone and in print.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from orchestrator.report.charts.axis import Axis
from orchestrator.report.formats import plain
from orchestrator.report.pages import template

WIDTH, HEIGHT = 1000, 260
"""The plot's own units; nothing is ever shown at this size."""

LABEL_SHARE = 0.08
"""Of the width: two names that begin closer than this would lie on each other."""

Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A series: a None breaks the line. `tone` is a colour of the page's palette, 1 to 6."""

    name: str
    points: tuple[Point, ...]
    tone: int
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """A series of counts, stacked on those before it: (from, until, height)."""

    name: str
    spans: tuple[tuple[float, float, float], ...]
    tone: int


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded span of time: `kind` is fault, gap or warmup."""

    from_x: float
    until_x: float
    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that an SLO names: a line across, or down where it lies on the x axis."""

    value: float
    label: str
    down: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture; `say_x` and `say_y` write a value of an axis in words."""

    title: str
    x: Axis
    y: Axis
    say_x: Callable[[float], str]
    say_y: Callable[[float], str]
    lines: tuple[Line, ...] = ()
    bars: tuple[Bars, ...] = ()
    bands: tuple[Band, ...] = ()
    bounds: tuple[Bound, ...] = ()
    x_name: str = ""
    note: str = ""


@dataclass(slots=True)
class _Stack:
    """Heights reached so far by the bars below, by where they begin."""

    tops: dict[float, float] = field(default_factory=dict)


def draw(chart: Chart) -> Markup:
    """The chart as one figure that needs no script; a script may read its values from `data-chart`."""
    stack = _Stack()
    bars = [(one, _bars_path(one, chart, stack)) for one in chart.bars]
    return Markup(  # noqa: S704  # the template escapes whatever it is given
        template("chart.html.j2").render(
            chart=chart,
            width=WIDTH,
            height=HEIGHT,
            lines=[(one, _line_path(one, chart)) for one in chart.lines],
            bars=bars,
            bands=[(one, _x(chart, one.from_x), _x(chart, one.until_x)) for one in _shown(chart)],
            across=[
                (one, _y(chart, one.value))
                for one in chart.bounds
                if not one.down and _inside(chart.y, one.value)
            ],
            down=[
                (one, _x(chart, one.value))
                for one in chart.bounds
                if one.down and _inside(chart.x, one.value)
            ],
            x_ticks=[(plain(chart.say_x(tick)), chart.x.place(tick) * 100) for tick in chart.x.ticks],
            y_ticks=[(plain(chart.say_y(tick)), 100 - chart.y.place(tick) * 100) for tick in chart.y.ticks],
            kinds=tuple(dict.fromkeys(one.kind for one in _shown(chart))),
            values=json.dumps(_values(chart), separators=(",", ":"), ensure_ascii=False),
        )
    )


def _shown(chart: Chart) -> list[Band]:
    """The bands within the picture; those that follow closely share one name."""
    last: dict[str, float] = {}
    found = []
    for one in sorted(chart.bands, key=lambda band: band.from_x):
        if one.until_x > chart.x.low and one.from_x < chart.x.high:
            left = chart.x.place(one.from_x)
            found.append(replace(one, label="") if left - last.get(one.label, -1.0) < LABEL_SHARE else one)
            last[one.label] = left
    return found


def _inside(axis: Axis, value: float) -> bool:
    return axis.low <= value <= axis.high


def _x(chart: Chart, value: float) -> float:
    return round(chart.x.place(value) * WIDTH, 1)


def _y(chart: Chart, value: float) -> float:
    return round(HEIGHT - chart.y.place(value) * HEIGHT, 1)


def _line_path(line: Line, chart: Chart) -> str:
    """Path data; a point without neighbours becomes a dot (a line of no length with round ends)."""
    parts: list[str] = []
    run: list[str] = []
    for x, y in (*line.points, (0.0, None)):
        if y is not None:
            run.append(f"{_x(chart, x):g} {_y(chart, y):g}")
            continue
        if run:
            parts.append("M" + "L".join(run if len(run) > 1 else run * 2))
        run = []
    return "".join(parts)


def _bars_path(bars: Bars, chart: Chart, stack: _Stack) -> str:
    parts: list[str] = []
    for from_x, until_x, height in bars.spans:
        if height <= 0:
            continue
        base = stack.tops.get(from_x, 0.0)
        stack.tops[from_x] = base + height
        left, right = _x(chart, from_x), _x(chart, until_x)
        low, high = _y(chart, base), _y(chart, base + height)
        parts.append(f"M{left:g} {low:g}H{right:g}V{high:g}H{left:g}Z")
    return "".join(parts)


def _values(chart: Chart) -> dict[str, object]:
    """What is said when a pointer rests on the plot: by place, the text of each series."""
    columns: dict[float, dict[str, str]] = {}
    names: dict[str, int] = {}
    for line in chart.lines:
        names[line.name] = line.tone
        for x, y in line.points:
            if y is not None:
                columns.setdefault(x, {})[line.name] = chart.say_y(y)
    for bars in chart.bars:
        names[bars.name] = bars.tone
        for from_x, until_x, height in bars.spans:
            if height:
                columns.setdefault((from_x + until_x) / 2, {})[bars.name] = chart.say_y(height)
    order = sorted(columns)
    return {
        "at": [round(chart.x.place(x), 4) for x in order],
        "x": [chart.say_x(x) for x in order],
        "series": [
            {"name": name, "tone": tone, "y": [columns[x].get(name, "") for x in order]}
            for name, tone in names.items()
        ],
    }
