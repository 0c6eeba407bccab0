"""One activity over its phase: times, rates, errors, work in flight; faults shaded, gaps marked."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from orchestrator.aggregate.evidence import Measured
from orchestrator.report.charts.axis import Axis, clock_label, fitting, from_zero, seconds
from orchestrator.report.charts.bins import Bin, bins_of, per_second, quantile_points
from orchestrator.report.charts.picture import Band, Bars, Bound, Chart, Line
from orchestrator.report.formats import duration, number, plain, rate
from orchestrator.slo.evidence import FaultSpan
from orchestrator.slo.expressions import Comparison, Quantile
from orchestrator.slo.words import value_text
from workers.contract.snapshot import JUDGED, WARMUP

MOST_KINDS = 5
"""Kinds of error that a picture tells apart; the rest is `other`."""
AROUND_FAULT_S = 15.0

Span = tuple[float, float]

_GENERATOR = "unsent by the generator"
_TONES = {"unknown": 6, _GENERATOR: 2}
_FAILED_TONES = (5, 4, 1, 3, 2, 6)


def charts_of(measured: Measured) -> tuple[Chart, ...]:
    """Every chart over time that the activity has data for."""
    span = (0.0, measured.evidence.duration_s)
    bins = bins_of(measured, ("latency", "ttft"), span_s=span)
    found = [times_chart(measured, "latency", "Latency", span=span, bins=bins)]
    if any(one.sketches["ttft"].count for one in bins):
        found.append(times_chart(measured, "ttft", "Time to first token", span=span, bins=bins))
    found += [rate_chart(measured, span=span, bins=bins), error_chart(measured, span=span, bins=bins)]
    if measured.evidence.in_flight:
        found.append(in_flight_chart(measured, span=span, bins=bins))
    return tuple(found)


def fault_charts(measured: Measured, fault: FaultSpan) -> tuple[Chart, ...]:
    """Latency and answers from 15 s before a fault to 15 s after the traffic was back.

    None where that is most of the activity: its own charts show it.
    """
    over_s = max(one for one in (fault.injected_s, fault.reverted_s, fault.recovered_s) if one is not None)
    length_s = measured.evidence.duration_s
    span = (max(0.0, fault.injected_s - AROUND_FAULT_S), min(length_s, over_s + AROUND_FAULT_S))
    if span[1] - span[0] > length_s * 0.75:
        return ()
    bins = bins_of(measured, ("latency", "ttft"), span_s=span)
    name = measured.plan.key
    return (
        times_chart(measured, "latency", f"{name}: latency around {fault.name}", span=span, bins=bins),
        rate_chart(measured, span=span, bins=bins, title=f"{name}: requests around {fault.name}"),
    )


def times_chart(measured: Measured, series: str, title: str, *, span: Span, bins: list[Bin]) -> Chart:
    """p50 and p99 of a request-series by intended second, with the bounds that SLOs set on it."""
    p50, p99 = quantile_points(bins, series, 0.5), quantile_points(bins, series, 0.99)
    values = [y for _, y in (*p50, *p99) if y is not None]
    bounds = _bounds(measured, series)
    y = fitting([*values, *(one.value for one in bounds if values and one.value <= 3 * max(values))])
    chart = _chart(measured, title, span=span, y=y)
    lines = (Line("p50", p50, 1), Line("p99", p99, 2))
    return replace(chart, say_y=duration, lines=lines, bounds=bounds, note="of ok requests, by intended time")


def rate_chart(
    measured: Measured, *, span: Span, bins: list[Bin], title: str = "Offered and answered"
) -> Chart:
    """Arrivals that were scheduled, requests sent, and good answers by the second in which they ended."""
    scheduled: dict[int, int] = {}
    for (group, second), n in measured.account.scheduled.items():
        if group in (JUDGED, WARMUP):
            scheduled[second] = scheduled.get(second, 0) + n
    lines: list[Line] = []
    if measured.totals.completions:
        lines.append(Line("answered", per_second(measured.totals.completions, bins), 3))
    ok = tuple((one.middle_s, one.outcomes["ok"] / one.length_s) for one in bins)
    lines.append(Line("ok, by intended time", ok, 1))
    lines.append(Line("scheduled", per_second(scheduled, bins), 6, dashed=True))
    values = [y for line in lines for _, y in line.points if y is not None]
    chart = _chart(measured, title, span=span, y=from_zero(values))
    return replace(chart, say_y=rate, lines=tuple(lines), note="requests per second")


def error_chart(measured: Measured, *, span: Span, bins: list[Bin]) -> Chart:
    """Failed, unsent and unknown requests by kind, stacked."""
    counts = _error_counts(measured, bins)
    totals = {name: sum(by_bin) for name, by_bin in counts.items()}
    order = sorted((name for name in totals if totals[name]), key=lambda name: -totals[name])
    shown = {name: counts[name] for name in order[:MOST_KINDS]}
    if len(order) > MOST_KINDS:
        rest = [counts[name] for name in order[MOST_KINDS:]]
        shown["other"] = [sum(column) for column in zip(*rest, strict=True)]
    tones = iter(_FAILED_TONES)
    bars = tuple(
        Bars(
            name,
            tuple((one.from_s, one.until_s, n / one.length_s) for one, n in zip(bins, by_bin, strict=True)),
            _TONES[name] if name in _TONES else next(tones),
        )
        for name, by_bin in shown.items()
    )
    heights = [
        sum(column) / one.length_s
        for one, column in zip(bins, zip(*shown.values(), strict=True), strict=False)
    ]
    chart = _chart(measured, "Failed, unsent and unknown", span=span, y=from_zero(heights))
    return replace(chart, say_y=rate, bars=bars, note="requests per second, by intended time")


def in_flight_chart(measured: Measured, *, span: Span, bins: list[Bin]) -> Chart:
    """The highest number of requests in flight in each second."""
    running = measured.evidence.in_flight
    points = tuple(
        (one.middle_s, max((running.get(at, 0) for at in range(one.from_s, one.until_s)), default=0))
        for one in bins
    )
    chart = _chart(measured, "In flight", span=span, y=from_zero([y for _, y in points]))
    return replace(chart, say_y=number, lines=(Line("in flight", points, 4),), note="highest in each second")


def _error_counts(measured: Measured, bins: list[Bin]) -> dict[str, list[int]]:
    """Kind -> count by bin; what the generator did not send is from the account, which knows lost shards."""
    kinds = {name for one in bins for name in one.outcomes} - {"ok", "unsent_generator"}
    counts = {name: [one.outcomes[name] for one in bins] for name in sorted(kinds)}
    for name, account in ((_GENERATOR, measured.account.unsent), ("unknown", measured.account.unknown)):
        by_second: dict[int, int] = {}
        for (_, second), n in account.items():
            by_second[second] = by_second.get(second, 0) + n
        counts[name] = [_sum(by_second, one) for one in bins]
    return counts


def _sum(counts: Mapping[int, int], one: Bin) -> int:
    return sum(counts.get(at, 0) for at in range(one.from_s, one.until_s))


def _chart(measured: Measured, title: str, *, span: Span, y: Axis) -> Chart:
    x = seconds(*span)
    return Chart(
        title=title,
        x=x,
        y=y,
        say_x=partial(clock_label, axis=x),
        say_y=number,
        bands=_bands(measured),
        x_name="since the phase's start",
    )


def _bands(measured: Measured) -> tuple[Band, ...]:
    """The warm-up, then faults from their injection until traffic was back, then gaps."""
    evidence = measured.evidence
    warmup = [Band(0.0, evidence.warmup_s, "warmup", "warm-up")] if evidence.warmup_s else []
    faults = [
        Band(one.injected_s, _end_s(one, evidence.duration_s), "fault", one.name) for one in evidence.faults
    ]
    gaps = [Band(one.from_s, one.until_s, "gap", "gap") for one in measured.account.gaps]
    return (*warmup, *faults, *gaps)


def _end_s(fault: FaultSpan, duration_s: float) -> float:
    """A held fault ends with its revert; a one-shot one when the traffic was back."""
    end_s = fault.recovered_s if fault.one_shot else fault.reverted_s
    return duration_s if end_s is None else end_s


def _bounds(measured: Measured, series: str) -> tuple[Bound, ...]:
    return tuple(
        Bound(one.body.bound, f"{value_text(one.body.value)} {one.body.op} {plain(duration(one.body.bound))}")
        for one in measured.evidence.slos
        if isinstance(one.body, Comparison)
        and isinstance(one.body.value, Quantile)
        and one.body.value.series == series
    )
