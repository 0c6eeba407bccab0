"""The interval of a mean whose neighbours in time are alike.

METRICS.md section 5: 95% over 20 equal blocks of the judged span.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

BLOCKS = 20
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A mean and its 95% interval, in the unit of the values."""

    mean: float
    lower: float
    upper: float


def batch_means(sums: Sequence[float], counts: Sequence[float]) -> MeanInterval | None:
    """The mean of all values and its interval, from each second's sum and count, in time's order.

    Seconds are cut into 20 blocks of equal length; the spread of the blocks about the mean gives the interval
    (ratio estimator, so blocks may hold unequal counts). None where fewer than 20 seconds hold a value.
    Source: Law & Kelton, Simulation Modeling and Analysis, section 9.5.3 (batch means).
    """
    total = np.asarray(sums, dtype=np.float64)
    count = np.asarray(counts, dtype=np.float64)
    if np.count_nonzero(count) < BLOCKS:
        return None
    mean = float(total.sum() / count.sum())
    block_sums = np.array([part.sum() for part in np.array_split(total, BLOCKS)])
    block_counts = np.array([part.sum() for part in np.array_split(count, BLOCKS)])
    residuals = (block_sums - mean * block_counts) / block_counts.mean()
    half = float(stdtrit(BLOCKS - 1, (1 + CONFIDENCE) / 2)) * float(residuals.std(ddof=1)) / sqrt(BLOCKS)
    return MeanInterval(mean=mean, lower=mean - half, upper=mean + half)
