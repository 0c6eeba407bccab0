"""Which bounds the engines must count so that every expression can be judged exactly."""

from collections.abc import Iterable, Iterator

from orchestrator.slo.expressions import Comparison, Expression, Goodput, Quantile
from orchestrator.slo.names import REQUEST_SERIES
from workers.contract.bounds import Bound, Limit, Op

_COUNTED_AS: dict[str, Op] = {"<": "<", "<=": "<=", ">": "<=", ">=": "<"}


def bounds_of(expressions: Iterable[Expression]) -> tuple[Bound, ...]:
    """Every bound that the expressions need counted, each once, in the order of their first use.

    Telemetry, scalars and outcomes need none.
    """
    return tuple(dict.fromkeys(_needed(expressions)))


def quantile_bound(comparison: Comparison, quantile: Quantile) -> Bound:
    """The bound behind `p99(latency) < 250ms`.

    `p99(x) > b` is the complement of `p99(x) <= b` and is judged from the same counts: an engine only ever
    counts requests against upper limits.
    """
    return Bound(limits=(Limit(quantile.series, _COUNTED_AS[comparison.op], comparison.bound),))


def goodput_bound(goodput: Goodput) -> Bound:
    """The bound behind `goodput(ttft < 500ms, tpot < 50ms)`: over are those that miss any of the limits."""
    limits = tuple(Limit(one.series, one.op, one.bound) for one in goodput.limits)
    return Bound(limits=limits, goodput=True)


def _needed(expressions: Iterable[Expression]) -> Iterator[Bound]:
    for expression in expressions:
        body = expression.body
        if not isinstance(body, Comparison):
            continue
        if isinstance(body.value, Quantile) and body.value.series in REQUEST_SERIES:
            yield quantile_bound(body, body.value)
        elif isinstance(body.value, Goodput):
            yield goodput_bound(body.value)
