"""The difference of two means with its interval: what a fault cost, beside its baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """`value` is changed minus base; `lower` and `upper` bound it at 95%, None where too little was seen."""

    value: float
    lower: float | None
    upper: float | None


def difference(base: Sequence[float], changed: Sequence[float]) -> Difference | None:
    """Mean of `changed` minus mean of `base`, with Welch's interval; None where either is empty.

    One value on a side gives no interval. Values of neighbouring seconds are alike, so the interval is the
    narrowest that can be defended. Source: Welch, Biometrika 34 (1947).
    """
    if not base or not changed:
        return None
    left, right = np.asarray(base, dtype=np.float64), np.asarray(changed, dtype=np.float64)
    value = float(right.mean() - left.mean())
    if min(left.size, right.size) < 2:
        return Difference(value=value, lower=None, upper=None)
    left_error = float(left.var(ddof=1)) / left.size
    right_error = float(right.var(ddof=1)) / right.size
    error = left_error + right_error
    if error == 0:
        return Difference(value=value, lower=value, upper=value)
    degrees = error**2 / (left_error**2 / (left.size - 1) + right_error**2 / (right.size - 1))
    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * sqrt(error)
    return Difference(value=value, lower=value - half, upper=value + half)


def band(values: Sequence[float]) -> tuple[float, float]:
    """Median and 3 robust standard deviations (3 * 1.4826 * MAD) of a baseline. METRICS.md section 5.

    Raises ValueError where there are no values.
    """
    if not values:
        raise ValueError("a band needs values")
    array = np.asarray(values, dtype=np.float64)
    median = float(np.median(array))
    return median, 3 * 1.4826 * float(np.median(np.abs(array - median)))
