"""What one request's stamps say: METRICS.md section 1, as pure functions of nanoseconds.

Values are seconds; None where a request does not have the series.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from workers.contract.bounds import Bound, Limit

OK = "ok"
DELAYED = frozenset({"latency", "ttft", "ttfot"})
"""Series that run from the intended time: the generator's own delay can only make them longer."""


Times = tuple[int, int, int, int, int, int]
"""Of an ok request that is no stream, in ns: latency, service_time, wait, connect, lag, own_delay."""


class Measured(msgspec.Struct, frozen=True):
    """One request that is over; the names of its fields are those of the series.

    `itl`: gaps between successive output chunks. `own_delay`: what the generator itself added at most.
    `decode`, `per_token`: what other tools make of a stream (workers/contract/snapshot.py).
    """

    outcome: str
    latency: float
    service_time: float = 0.0
    wait: float = 0.0
    connect: float = 0.0
    lag: float = 0.0
    ttft: float | None = None
    ttft_sent: float | None = None
    ttfot: float | None = None
    tpot: float | None = None
    itl: tuple[float, ...] = ()
    own_delay: float = 0.0
    decode: float | None = None
    per_token: float | None = None


def lag_ns(*, sent_ns: int, intended_ns: int, wait_ns: int, connect_ns: int) -> int:
    """The generator's own delay before the first byte: never hidden, never re-anchored."""
    return sent_ns - intended_ns - wait_ns - connect_ns


def tpot_s(output_times_ns: Sequence[int], tokens: int | None) -> float | None:
    """(last output - first output) / (tokens - 1); only where the answer tells of two tokens or more."""
    if not output_times_ns or tokens is None or tokens < 2:
        return None
    return (output_times_ns[-1] - output_times_ns[0]) / (tokens - 1) / 1e9


def decode_s(output_times_ns: Sequence[int], tokens: int | None, *, last_ns: int) -> float | None:
    """(last byte - first output) / (tokens - 1), for streams of two tokens or more."""
    if not output_times_ns or tokens is None or tokens < 2:
        return None
    return (last_ns - output_times_ns[0]) / (tokens - 1) / 1e9


def per_token_s(
    output_times_ns: Sequence[int], tokens: int | None, *, sent_ns: int, last_ns: int
) -> float | None:
    """(last byte - sent) / tokens, for streams of a token or more."""
    if not output_times_ns or not tokens:
        return None
    return (last_ns - sent_ns) / tokens / 1e9


def gaps_s(output_times_ns: Sequence[int]) -> tuple[float, ...]:
    """Gaps between successive output chunks."""
    return tuple([(later - earlier) / 1e9 for earlier, later in pairwise(output_times_ns)])


def count(bound: Bound, sample: Measured) -> tuple[int, int, int]:
    """What one request that ended ok, failed or target-unsent adds to a bound: n, over, over less own delay.

    METRICS.md section 5: failed and target-unsent ones are over (for itl they do not count); an ok request
    without the series is left out, of goodput's limits that one.
    """
    if bound.goodput:
        return _count_goodput(bound, sample)
    limit = bound.limits[0]
    if limit.series == "itl":
        over = sum(not limit.met(gap) for gap in sample.itl) if sample.outcome == OK else 0
        return (len(sample.itl) if sample.outcome == OK else 0), over, over
    if sample.outcome != OK:
        return 1, 1, 1
    value = getattr(sample, limit.series)
    if value is None:
        return 0, 0, 0
    if limit.met(value):
        return 1, 0, 0
    return 1, 1, int(not _met_less_delay(limit, sample, value))


def count_plain(bounds: Sequence[Bound], times: Times) -> list[tuple[int, int, int]]:
    """What an ok request without the times of a stream adds to each bound."""
    latency_ns, service_ns, wait_ns, connect_ns, lag_ns, own_delay_ns = times
    sample = Measured(
        OK,
        latency=latency_ns / 1e9,
        service_time=service_ns / 1e9,
        wait=wait_ns / 1e9,
        connect=connect_ns / 1e9,
        lag=lag_ns / 1e9,
        own_delay=own_delay_ns / 1e9,
    )
    return [count(bound, sample) for bound in bounds]


def least_bound_ns(bounds: Sequence[Bound], series: str) -> int:
    """A value of `series` below this breaks no limit; one at it or above may."""
    limits = [limit.bound_s for bound in bounds for limit in bound.limits if limit.series == series]
    return int(min(limits) * 1e9) - 1 if limits else sys.maxsize


def _count_goodput(bound: Bound, sample: Measured) -> tuple[int, int, int]:
    if sample.outcome != OK:
        return 1, 1, 1
    over = less = 0
    for limit in bound.limits:
        value = max(sample.itl, default=None) if limit.series == "itl" else getattr(sample, limit.series)
        if value is not None and not limit.met(value):
            over = 1
            less |= int(not _met_less_delay(limit, sample, value))
    return 1, over, less


def _met_less_delay(limit: Limit, sample: Measured, value: float) -> bool:
    return limit.series in DELAYED and limit.met(value - min(sample.own_delay, value))
