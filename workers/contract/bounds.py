"""Bounds that engines count exactly, request by request, so that no verdict rests on a sketch.

A bound is one limit on one series (a quantile SLO) or several that a request must meet together (goodput).
"""

from typing import Literal

import msgspec

Op = Literal["<", "<="]


class Limit(msgspec.Struct, frozen=True):
    """One request's value of `series` must be below (or at most) `bound_s` seconds."""

    series: str
    op: Op
    bound_s: float

    def met(self, value_s: float) -> bool:
        """Whether a value keeps to this limit; `<` counts a value equal to the bound as over."""
        return value_s < self.bound_s if self.op == "<" else value_s <= self.bound_s


class Bound(msgspec.Struct, frozen=True):
    """What an engine counts: how many requests there were, and how many were over."""

    limits: tuple[Limit, ...]
    goodput: bool = False

    @property
    def id(self) -> str:
        """The name under which counts of this bound travel, e.g.

        `latency<0.25`, `goodput(ttft<0.5,tpot<0.05)`.
        """
        text = ",".join(f"{limit.series}{limit.op}{limit.bound_s:.12g}" for limit in self.limits)
        return f"goodput({text})" if self.goodput else text


class BoundCount(msgspec.Struct, frozen=True, array_like=True):
    """Counts of one bound in one second.

    `n`: requests to which it applies (failed and target-unsent ones included); `over`: those that broke it;
    `over_less_delay`: those that still would with the generator's own delay taken off (METRICS.md 3).
    """

    n: int
    over: int
    over_less_delay: int


def add_counts(left: BoundCount, right: BoundCount) -> BoundCount:
    """Sum of two counts of the same bound."""
    return BoundCount(left.n + right.n, left.over + right.over, left.over_less_delay + right.over_less_delay)
