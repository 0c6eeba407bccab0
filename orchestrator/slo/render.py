"""Data of an expression to its canonical text, in base units: the inverse of parse."""

from orchestrator.slo.expressions import (
    Alert,
    Body,
    Comparison,
    Drift,
    Expression,
    Gauge,
    Goodput,
    Limit,
    Outcomes,
    Quantile,
    Stat,
    Suffixes,
    Value,
)


def render(expression: Expression) -> str:
    """Canonical text: one blank between words, bounds in base units; parse(render(x)) equals x."""
    return _body(expression.body) + _suffixes(expression.suffixes)


def quantity(value: float, unit: str) -> str:
    """A bound in its base unit as an expression writes it: `0.25s`, `99%`, `0.02 EUR`; never in exponents."""
    if unit == "fraction":
        return f"{_decimal(value * 100)}%"
    if unit.isalpha() and len(unit) == len("USD"):
        return f"${_decimal(value)}" if unit == "USD" else f"{_decimal(value)} {unit}"
    return f"{_decimal(value)}{unit}"


def _decimal(value: float) -> str:
    return f"{value:.12f}".rstrip("0").rstrip(".")


def _body(body: Body) -> str:
    match body:
        case Comparison(value=value, op=op, bound=bound, unit=unit):
            return f"{_value(value)} {op} {quantity(bound, unit)}"
        case Outcomes(always=always, names=names):
            return f"{'always' if always else 'never'}({', '.join(names)})"
        case Alert(name=name, within_s=None):
            return f"alert({name}) never fires"
        case Alert(name=name, event=event, within_s=float(within_s)):
            return f"alert({name}) {event} within {quantity(within_s, 's')}"
        case Gauge(metric=metric, labels=labels, within_s=within_s):
            inside = ", ".join(f'{name}="{value}"' for name, value in labels)
            braces = f"{{{inside}}}" if labels else ""
            return f"metric({metric}{braces}) returns within {quantity(within_s, 's')}"
    raise AssertionError(body)


def _value(value: Value) -> str:
    match value:
        case Quantile(q=q, series=series):
            return f"p{_decimal(q * 100)}({series})"
        case Stat(which=which, series=series):
            return f"{which}({series})"
        case Goodput(limits=limits):
            return f"goodput({', '.join(_limit(limit) for limit in limits)})"
        case Drift(method=method, field=field):
            return f"drift({method}, {field})"
        case _:
            return value.name


def _limit(limit: Limit) -> str:
    return f"{limit.series} {limit.op} {quantity(limit.bound, 's')}"


def _suffixes(suffixes: Suffixes) -> str:
    text = ""
    if suffixes.over_s:
        text += " over " + " and ".join(quantity(window, "s") for window in suffixes.over_s)
    if suffixes.during:
        text += f" during {suffixes.during}"
    if suffixes.outside_faults:
        text += " outside faults"
    if suffixes.tag:
        name, value = suffixes.tag
        text += f' for {name}="{value}"'
    return text
