"""When "at most 1 - q of the requests were over the bound" may be claimed, refused or left open.

Exact binomial (Clopper-Pearson) limits, taken at real-valued counts so that clustered requests can be
discounted first (`orchestrator.stats.deff`). METRICS.md section 4; the rule of MLPerf's early stopping.
"""

from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Literal

from scipy.special import betainc, betaincinv

ALPHA = 0.01
"""The risk of a false pass, and of a false fail."""

SEARCH_LIMIT = 1e12
"""No search for a sample size goes beyond this: a run of that many requests will not happen."""

Claim = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen: `over` of `n` requests were over the bound.

    `deff` is the design effect by which both are divided before a limit is taken. `whole_over` of `whole_n`
    further requests fell in planned fault spans: the test's own doing, counted whole and without a limit.
    """

    n: float
    over: float
    deff: float = 1.0
    whole_n: float = 0.0
    whole_over: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.over <= self.n and 0 <= self.whole_over <= self.whole_n and self.deff >= 1):
            raise ValueError(f"{self} is no count: need 0 <= over <= n and deff >= 1")

    @property
    def total(self) -> float:
        """All requests that were counted."""
        return self.n + self.whole_n

    @property
    def share(self) -> float:
        """The share over the bound of all that were counted; 0 where none were."""
        return (self.over + self.whole_over) / self.total if self.total else 0.0

    @property
    def effective(self) -> float:
        """How many independent requests this is worth."""
        return self.n / self.deff + self.whole_n


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """The one-sided 99% confidence limits of a share; both in 0..1."""

    lower: float
    upper: float


def limits(sample: Sample, *, alpha: float = ALPHA) -> ShareLimits:
    """Clopper-Pearson limits of the share over the bound, each at risk `alpha`.

    With fault spans: (t_f + n_o * limit(outside)) / (n_f + n_o). Of nothing, nothing is known: 0 and 1.
    """
    if sample.total == 0:
        return ShareLimits(lower=0.0, upper=1.0)
    n, over = sample.n / sample.deff, sample.over / sample.deff
    lower = float(betaincinv(over, n - over + 1, alpha)) if over > 0 else 0.0
    upper = float(betaincinv(over + 1, n - over, 1 - alpha)) if over < n else 1.0
    return ShareLimits(
        lower=(sample.whole_over + sample.n * lower) / sample.total,
        upper=(sample.whole_over + sample.n * upper) / sample.total,
    )


def claim(sample: Sample, *, quantile: float, fail_alpha: float = ALPHA) -> Claim:
    """Say whether the `quantile` (0..1) was under its bound: pass, fail or inconclusive.

    Pass iff the upper 99% limit of the over-share is at most 1 - q, that is I_q(n - t, t + 1) <= 0.01;
    fail iff the lower limit, at risk `fail_alpha`, is above 1 - q.
    """
    if sample.total == 0:
        return "inconclusive"
    if sample.n == 0:
        return "pass" if sample.whole_over <= (1 - quantile) * sample.whole_n + 1e-9 else "fail"
    allowed = ((1 - quantile) * sample.total - sample.whole_over) / sample.n
    n, over = sample.n / sample.deff, sample.over / sample.deff
    if _passes(n=n, over=over, allowed=allowed):
        return "pass"
    return "fail" if _fails(n=n, over=over, allowed=allowed, alpha=fail_alpha) else "inconclusive"


def smallest_n(*, over: float, quantile: float) -> int:
    """The smallest whole n at which `over` requests over the bound still pass.

    At p99: 459 for 0, 662 for 1, 838 for 2. Raises ValueError for a quantile outside 0..1.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile {quantile} is not between 0 and 1")
    low, high = int(over), int(over) + 1
    while not _passes(n=high, over=over, allowed=1 - quantile):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if _passes(n=middle, over=over, allowed=1 - quantile):
            high = middle
        else:
            low = middle
    return high


def needed(sample: Sample, *, quantile: float) -> int | None:
    """How many more requests settle the claim.

    It is taken that the share over the bound and the clustering stay as they are. 0 where it is settled
    already; None where no run would settle it: the share is just at the bound. Where nothing was seen yet, as
    many as a run without any over needs.
    """
    if sample.n == 0:
        return smallest_n(over=0, quantile=quantile) if sample.total == 0 else 0

    def settled(n: float) -> bool:
        larger = replace(sample, n=n, over=min(n, sample.over * n / sample.n))
        return claim(larger, quantile=quantile) != "inconclusive"

    if settled(sample.n):
        return 0
    low, high = sample.n, sample.n * 2
    while not settled(high):
        low, high = high, high * 2
        if high > SEARCH_LIMIT:
            return None
    while high - low > max(1e-3, 1e-7 * high):
        middle = (low + high) / 2
        if settled(middle):
            high = middle
        else:
            low = middle
    return ceil(high - sample.n)


def supports(sample: Sample) -> float:
    """The highest quantile (0..1) that this data could have carried.

    600 requests with none over support 99.2%; nothing at all supports 0.
    """
    return 1 - limits(sample).upper


def _passes(*, n: float, over: float, allowed: float) -> bool:
    if allowed >= 1:
        return True
    if over >= n or allowed <= 0:
        return False
    return bool(betainc(n - over, over + 1, 1 - allowed) <= ALPHA)


def _fails(*, n: float, over: float, allowed: float, alpha: float) -> bool:
    if allowed < 0:
        return True
    if over <= 0 or allowed >= 1:
        return False
    risk = float(betainc(over, n - over + 1, allowed)) if allowed > 0 else -inf
    return risk < alpha
