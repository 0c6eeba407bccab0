"""Numbers as people say them in the reasons of a verdict."""

from math import floor, log10

from orchestrator.slo.expressions import Comparison, Drift, Goodput, Quantile, Scalar, Stat, Value

_BYTES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
MOST_DIGITS = 6


def percent(share: float, *, apart_from: float | None = None) -> str:
    """0.004 -> "0.4%"; as many digits as tell it from 0%, from 100% and from `apart_from`."""
    distance = min(abs(share), abs(1 - share))
    digits = 2 if distance == 0 else max(1, min(MOST_DIGITS, 1 - floor(log10(distance * 100))))
    text = _percent(share, digits)
    while apart_from is not None and digits < MOST_DIGITS and text == _percent(apart_from, digits):
        digits += 1
        text = _percent(share, digits)
    return text


def percent_down(share: float) -> str:
    """As `percent`, but rounded down to one digit more than the nines: 0.99235 -> "99.2%"."""
    distance = 1 - share
    digits = 1 if distance <= 0 else max(1, min(6, -floor(log10(distance)) - 2))
    scale = 10.0**digits
    return f"{floor(share * 100 * scale) / scale:.{digits}f}%"


def seconds(value_s: float) -> str:
    """0.25 -> "250 ms", 75 -> "75 s", 5400 -> "1.5 h"."""
    size = abs(value_s)
    if size >= 2 * 3600:
        return f"{value_s / 3600:.3g} h"
    if size >= 120:
        return f"{value_s / 60:.3g} min"
    if size >= 1 or size == 0:
        return f"{value_s:.3g} s"
    return f"{value_s * 1e3:.3g} ms" if size >= 1e-3 else f"{value_s * 1e6:.3g} µs"


def quantity(value: float, unit: str) -> str:
    """A value of base unit `unit` (`orchestrator.slo.names`) with a unit that fits its size."""
    if unit == "s":
        return seconds(value)
    if unit == "fraction":
        return percent(value)
    if unit == "B":
        return _bytes(value)
    if unit in ("/s", ""):
        return f"{value:,.6g}{unit}"
    return f"{value:,.6g} {unit}"


def count(number: float, noun: str) -> str:
    """12000, "request" -> "12,000 requests"."""
    whole = round(number)
    return f"{whole:,} {noun}" if whole == 1 else f"{whole:,} {noun}s"


def value_text(value: Value) -> str:
    """The value of a comparison without blanks, `p99(latency)`: the key of `Evidence.values`."""
    match value:
        case Quantile(q=q, series=series):
            return f"p{q * 100:.10g}({series})"
        case Stat(which=which, series=series):
            return f"{which}({series})"
        case Goodput(limits=limits):
            return "goodput(" + ",".join(f"{one.series}{one.op}{seconds(one.bound)}" for one in limits) + ")"
        case Drift(method=method, field=field):
            return f"drift({method},{field})"
        case Scalar(name=name):
            return name


def bound_text(comparison: Comparison) -> str:
    """`< 250 ms`, `at least 99%`: the bound of a comparison in words."""
    words = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}
    return f"{words[comparison.op]} {quantity(comparison.bound, comparison.unit)}"


def _percent(share: float, digits: int) -> str:
    return f"{share * 100:.{digits}f}".rstrip("0").rstrip(".") + "%"


def _bytes(value: float) -> str:
    for unit, size in _BYTES:
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"
