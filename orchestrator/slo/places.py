"""Which forms may stand in `slos`, `expect`, `while` and `abort_if`, as far as the expression alone tells."""

from orchestrator.errors import ExpressionError
from orchestrator.slo.expressions import (
    Alert,
    Comparison,
    Expression,
    Gauge,
    Outcomes,
    Place,
    Scalar,
    is_sampled,
)

_ONLY_AT_THE_END = ("max_rate", "max_concurrency", "pass_rate", "agreement", "contract_violations")


def check_place(expression: Expression, place: Place) -> Expression:
    """The expression itself. Raises ExpressionError where its form is not allowed in `place`."""
    message, hint = (
        _form(expression, place) or _suffixes(expression, place) or _bound(expression, place) or ("", "")
    )
    if message:
        raise ExpressionError(message, column=1, hint=hint)
    return expression


def _form(expression: Expression, place: Place) -> tuple[str, str] | None:
    match expression.body:
        case Gauge() if place != "expect":
            return "metric(...) returns is measured from a fault", "it stands in `expect` of a chaos activity"
        case Alert(event="fires" | "resolves" as event) if place != "expect":
            return (
                f"alert(...) {event} within is measured from a fault",
                "it stands in `expect` of a chaos activity; here: alert(NAME) never fires",
            )
        case Alert() if place in ("while", "abort_if"):
            return f"an alert does not stand in `{place}`", "say it in `slos` or `expect`"
        case Outcomes() if place == "abort_if":
            return "abort_if compares values", "say for example success_rate < 80% over 1m"
        case Comparison(value=Scalar(name="recovery")) if place != "expect":
            return "recovery is measured from a fault", "it stands in `expect` of a chaos activity"
        case Comparison(value=Scalar(name="burn_rate")) if place == "while":
            return "burn_rate looks back over long windows", "say success_rate in `while`"
        case Comparison(value=Scalar(name=name)) if place != "slos" and name in _ONLY_AT_THE_END:
            return f"{name} is known when its activity ends", "it stands in `slos`"
    return None


def _suffixes(expression: Expression, place: Place) -> tuple[str, str] | None:
    suffixes, body = expression.suffixes, expression.body
    if isinstance(body, Alert | Gauge) and suffixes != type(suffixes)():
        return "alert and metric take no suffix", ""
    burn = isinstance(body, Comparison) and body.value == Scalar("burn_rate")
    if burn and not suffixes.over_s:
        return "burn_rate needs a window", "say for example over 6h and 30m"
    if len(suffixes.over_s) > 1 and not burn:
        return "only burn_rate takes two windows", ""
    if place in ("while", "abort_if") and (suffixes.during or suffixes.outside_faults):
        return f"`{place}` looks at the present", "leave out during and outside faults"
    if place == "while" and suffixes.over_s:
        return "each step is judged whole", "leave out over; `step` is the window"
    if isinstance(body, Comparison) and body.value == Scalar("recovery") and suffixes != type(suffixes)():
        return "recovery takes no suffix", ""
    return None


def _bound(expression: Expression, place: Place) -> tuple[str, str] | None:
    body = expression.body
    if place == "abort_if" or not isinstance(body, Comparison) or not is_sampled(expression):
        return None
    if body.unit == "fraction" and body.bound >= 1:
        return "no sample can prove 100%", "use never, e.g. never(http_5xx, timeout)"
    return None
